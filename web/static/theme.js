// Runs before the first paint, so that a remembered dark page never flashes white. A file of its own: the CSP allows no inline script.
;(() => {
  let choice = 'system'
  try {
    choice = localStorage.getItem('gatehouse.theme') ?? 'system'
  } catch {
    // Storage may be blocked; the system's choice still holds.
  }
  const dark = choice === 'dark' || (choice === 'system' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.classList.toggle('dark', dark)
})()
