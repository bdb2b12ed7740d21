/** Puts `(2)` before the title of the page, whoever sets it; returns the function that takes it away. */
export function countInTitle(count: number): () => void {
  const plain = () => document.title.replace(/^\(\d+\) /, '')
  const put = (title: string) => {
    if (document.title !== title) document.title = title
  }
  const apply = () => put(count > 0 ? `(${count}) ${plain()}` : plain())
  const observer = new MutationObserver(apply)
  observer.observe(document.head, { childList: true, subtree: true, characterData: true })
  apply()
  return () => {
    observer.disconnect()
    put(plain())
  }
}
