/** An event of a room, as far as we read it. */
export type RoomEvent = {
  type: string
  event_id: string
  sender: string
  origin_server_ts: number
  state_key?: string
  content: {
    msgtype?: string
    body?: string
    formatted_body?: string
    filename?: string
    url?: string
    geo_uri?: string
    info?: { mimetype?: string; size?: number }
    membership?: string
    'm.mentions'?: { user_ids?: string[]; room?: boolean }
    'm.relates_to'?: {
      rel_type?: string
      event_id?: string
      is_falling_back?: boolean
      'm.in_reply_to'?: { event_id?: string }
    }
    'org.matrix.msc3245.voice'?: object
  }
}

/** The answer to `/sync`, as far as we read it. */
export type SyncAnswer = {
  next_batch: string
  account_data?: { events: { type: string; content: Record<string, string[]> }[] }
  rooms?: {
    join?: Record<string, {
      timeline?: { events: RoomEvent[]; limited?: boolean; prev_batch?: string }
      state?: { events: RoomEvent[] }
    }>
    invite?: Record<string, { invite_state?: { events: RoomEvent[] } }>
  }
}
