// Search and keys for the reference; everything can be read without them.
const search = document.querySelector('#search')
const count = document.querySelector('#count')
const nothing = document.querySelector('#nothing')
const groups = [...document.querySelectorAll('.group')]
const operations = [...document.querySelectorAll('.operation')].map((element) => ({
  element,
  text: `${element.id} ${element.textContent}`.toLowerCase(),
}))

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean)
  let shown = 0
  for (const { element, text } of operations) {
    element.hidden = !words.every((word) => text.includes(word))
    if (!element.hidden) shown++
  }
  for (const group of groups) group.hidden = !group.querySelector('.operation:not([hidden])')
  nothing.hidden = shown > 0
  count.textContent = words.length > 0 ? `${shown} operations` : ''
  document.querySelector('.intro').hidden = words.length > 0
}

/** Opens what the address names, and shows it even when a search hides it. */
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)))
  if (target?.tagName !== 'DETAILS') return
  if (target.hidden) {
    search.value = ''
    filter()
  }
  target.open = true
  target.scrollIntoView()
}

function move(step) {
  const visible = operations.map(({ element }) => element).filter((element) => !element.hidden)
    .map((element) => element.querySelector('summary'))
  const at = visible.indexOf(document.activeElement)
  const next = at < 0 ? (step > 0 ? 0 : -1) : at + step
  if (at === 0 && step < 0) search.focus()
  else visible.at(Math.min(next, visible.length - 1))?.focus()
}

search.disabled = false
search.addEventListener('input', filter)
addEventListener('hashchange', openTarget)
addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return
  const searching = document.activeElement === search
  if (event.key === '/' && !searching) search.focus()
  else if (event.key === 'Escape' && (searching || search.value !== '')) {
    search.value = ''
    filter()
    search.focus()
  } else if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && document.activeElement?.tagName !== 'PRE') {
    const inList = searching || document.activeElement?.closest('summary')
    if (!inList) return
    move(event.key === 'ArrowDown' ? 1 : -1)
  } else return
  event.preventDefault()
})
openTarget()
