import * as v from 'valibot'

/** What people write into an event is checked by no server: a field of another kind counts as missing. */
const known = <S extends v.GenericSchema>(schema: S) => v.fallback(v.optional(schema), undefined)
const text = known(v.string())

const Relation = v.object({
  rel_type: text,
  event_id: text,
  is_falling_back: known(v.boolean()),
  'm.in_reply_to': known(v.object({ event_id: text })),
})

/** The last moment whose year has four digits; a server may tell any. */
const LATEST_MS = Date.UTC(10_000, 0) - 1

/** An event of a room, as far as we read it. */
const RoomEvent = v.object({
  type: v.string(),
  event_id: v.string(),
  sender: v.string(),
  origin_server_ts: v.fallback(v.pipe(v.number(), v.minValue(0), v.maxValue(LATEST_MS)), () => Date.now()),
  state_key: text,
  content: v.fallback(
    v.object({
      msgtype: text,
      body: text,
      formatted_body: text,
      filename: text,
      url: text,
      geo_uri: text,
      info: known(v.object({ mimetype: text, size: known(v.number()) })),
      membership: text,
      'm.mentions': known(v.object({ user_ids: known(v.array(v.string())), room: known(v.boolean()) })),
      'm.relates_to': known(Relation),
      'org.matrix.msc3245.voice': known(v.object({})),
    }),
    {},
  ),
})
export type RoomEvent = v.InferOutput<typeof RoomEvent>

/** Events as we read them; what is none is left out. */
export const eventsOf = (given: unknown): RoomEvent[] =>
  (Array.isArray(given) ? given : []).flatMap((event) => {
    const result = v.safeParse(RoomEvent, event)
    return result.success ? [result.output] : []
  })

/** The answer to `/sync`, as far as we read it; its events are read by `eventsOf`. */
export type SyncAnswer = {
  next_batch: string
  rooms?: {
    join?: Record<string, {
      timeline?: { events?: unknown; limited?: boolean; prev_batch?: string }
      state?: { events?: unknown }
    }>
    invite?: Record<string, unknown>
  }
}
