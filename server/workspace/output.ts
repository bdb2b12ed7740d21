/** The beginning and the end of what a program says, however much it says. */
export function createOutput(maxBytes: number) {
  const half = Math.floor(maxBytes / 2)
  const head: Uint8Array[] = []
  const tail: Uint8Array[] = []
  let inHead = 0
  let inTail = 0
  let cut = 0

  return {
    add(bytes: Uint8Array): void {
      const first = bytes.subarray(0, half - inHead)
      // Copied, for a runtime may use its buffer again.
      if (first.length > 0) head.push(first.slice())
      inHead += first.length
      const rest = bytes.subarray(first.length)
      if (rest.length === 0) return
      tail.push(rest.slice(Math.max(0, rest.length - half)))
      cut += Math.max(0, rest.length - half)
      inTail += Math.min(rest.length, half)
      while (inTail - tail[0]!.length >= half) {
        const gone = tail.shift()!.length
        inTail -= gone
        cut += gone
      }
    },

    /** As text; says in its middle how much is missing. */
    text(): { text: string; cut_bytes: number } {
      const decode = (parts: Uint8Array[]) => new TextDecoder().decode(Buffer.concat(parts))
      const end = Buffer.concat(tail)
      const over = Math.max(0, end.length - half)
      const missing = cut + over
      if (missing === 0) return { text: decode([...head, end]), cut_bytes: 0 }
      return {
        text: `${decode(head)}\n[… ${missing} bytes left out …]\n${decode([end.subarray(over)])}`,
        cut_bytes: missing,
      }
    },
  }
}
