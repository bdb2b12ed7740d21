import { defineChannel } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { createApi } from './api.ts'
import { createIncoming } from './incoming.ts'
import { createOutgoing } from './outgoing.ts'
import { createRooms } from './rooms.ts'
import { type Self, whoAmI } from './self.ts'
import { follow } from './sync.ts'

defineChannel({
  id: 'matrix',
  capabilities: ['reply'],
  // An event has at most 64 KiB, and the text stands in it twice.
  limit: { max: 16_000, unit: 'bytes' },
  environment: { config: { homeserver: 'MATRIX_HOMESERVER' }, secrets: { access_token: 'MATRIX_ACCESS_TOKEN' } },

  async start(channel) {
    const { homeserver, join_invites = true, read_receipts = true } = channel.config as Settings
    const { access_token: token } = channel.secrets
    if (!homeserver) throw new PluginError('invalid_request', 'The homeserver is missing')
    if (!token) throw new PluginError('unauthorized', 'The access token is missing')
    const api = createApi({ homeserver, token, signal: channel.signal })
    const self: Self = { id: '' }
    // A token that is refused ends the start; a server out of reach does not.
    await whoAmI(api, self).catch((error: PluginError) => {
      if (error.code === 'unauthorized') throw error
    })
    const rooms = createRooms(api, self)
    let connected = false
    follow({
      channel,
      api,
      self,
      joinInvites: join_invites,
      readReceipts: read_receipts,
      note: rooms.note,
      take: createIncoming({ channel, api, rooms, self }),
      state: (now) => (connected = now),
    }).catch((error: Error) =>
      channel.signal.aborted
        ? undefined
        : channel.fail(error instanceof PluginError ? error.code : 'platform_error', error.message)
    )
    return { ...createOutgoing({ api, rooms, self }), connected: () => connected }
  },
})

type Settings = { homeserver?: string; join_invites?: boolean; read_receipts?: boolean }
