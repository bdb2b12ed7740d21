import { encodeFrame } from '../http/sse.ts'
import type { Entry } from './entries.ts'

/** The event as JSON; made once, however many readers there are. */
export const jsonOf = (entry: Entry): string => entry.json ??= JSON.stringify(entry.event)

/** The SSE frame of an event, with its offset as id; made once per event name. */
export function frameOf(entry: Entry, event?: string): Uint8Array {
  entry.frames ??= {}
  return entry.frames[event ?? ''] ??= encodeFrame({
    id: String(entry.offset),
    ...(event === undefined ? {} : { event }),
    data: jsonOf(entry),
  })
}

/** Several frames as one chunk. */
export function joinFrames(frames: Uint8Array[]): Uint8Array {
  if (frames.length === 1) return frames[0]!
  const out = new Uint8Array(frames.reduce((size, frame) => size + frame.byteLength, 0))
  let at = 0
  for (const frame of frames) {
    out.set(frame, at)
    at += frame.byteLength
  }
  return out
}
