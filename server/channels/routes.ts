import { Hono } from 'hono'
import {
  ApprovePairingInput,
  ChannelListQuery,
  OutboxQuery,
  PairingQuery,
  PutRoutesInput,
  RouteTestInput,
  SendToChatInput,
  UpdateGroupInput,
  UpdatePersonInput,
} from '../../shared/channels.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import type { Channels } from './service.ts'

/** Chat platforms: their state, who may write, where messages go, and what is still to be sent (contract.md). */
export const channelRoutes = (channels: Channels) =>
  new Hono<AppEnv>()
    .get(
      '/api/channels',
      operation({
        id: 'listChannels',
        summary: 'Chat platforms with state, identity, throughput and last error',
        description: '`auth` holds a code or a QR that the platform wants to be confirmed, while it is valid.',
        scope: 'read',
        returns: '{channels: Channel[]}',
      }),
      async (c) => c.json({ channels: await channels.list(c.var.caller) }),
    )
    .get(
      '/api/channels/:name',
      operation({
        id: 'getChannel',
        summary: 'One chat platform',
        scope: 'read',
        returns: 'Channel',
        errors: ['not_found'],
      }),
      async (c) => c.json(await channels.get(c.var.caller, c.req.param('name'))),
    )
    .post(
      '/api/channels/:name/messages',
      operation({
        id: 'sendToChat',
        summary: 'Send a message into a chat',
        description: 'It goes through the outbox, split where the platform has a limit.',
        scope: 'admin',
        body: SendToChatInput,
        status: 202,
        returns: '{entries: OutboxEntry[]}',
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => {
        const entries = await channels.send(c.var.caller, c.req.param('name'), c.req.valid('json'))
        return c.json({ entries }, 202)
      },
    )
    .get(
      '/api/channel-routes',
      operation({
        id: 'listChannelRoutes',
        summary: 'Rules of where messages go; the first that matches decides',
        description: 'Answers an ETag, for If-Match.',
        scope: 'read',
        returns: '{routes}',
      }),
      (c) => {
        const { routes, etag } = channels.routes(c.var.caller)
        c.header('etag', etag)
        return c.json({ routes })
      },
    )
    .put(
      '/api/channel-routes',
      operation({
        id: 'putChannelRoutes',
        summary: 'Replace the rules',
        description: 'A condition that is left out matches everything, * stands for any characters. Without a rule ' +
          'each person, group and thread has a session of its own. agent is the one of /api/v1/agents.',
        scope: 'admin',
        body: PutRoutesInput,
        returns: '{routes}',
        errors: ['invalid_input', 'precondition_failed'],
      }),
      async (c) => {
        const wanted = c.req.valid('json').routes
        const { routes, etag } = await channels.putRoutes(c.var.caller, wanted, c.req.header('if-match'))
        c.header('etag', etag)
        return c.json({ routes })
      },
    )
    .post(
      '/api/channel-routes/test',
      operation({
        id: 'testChannelRoute',
        summary: 'Where would this go?',
        description:
          'Judges access and rules as for a real message; nothing happens. With routes, as if those rules were ' +
          'in force.',
        scope: 'read',
        body: RouteTestInput,
        returns: '{action, reason, rule, session_id, model, agent}',
        errors: ['invalid_input'],
      }),
      async (c) => c.json(await channels.testRoute(c.var.caller, c.req.valid('json'))),
    )
    .get(
      '/api/channel-people',
      operation({
        id: 'listChannelPeople',
        summary: 'People that were seen, with what becomes of their words, the latest first',
        description: 'The first page also has the groups that were seen last; all of them: /api/channel-groups.',
        scope: 'admin',
        query: ChannelListQuery,
        returns: '{people: ChannelPerson[], groups: ChannelGroup[], nextCursor}',
        errors: ['invalid_input'],
      }),
      async (c) => {
        const query = c.req.valid('query')
        const { groups } = query.cursor === undefined
          ? await channels.people.groups(c.var.caller, query)
          : { groups: [] }
        return c.json({ ...await channels.people.list(c.var.caller, query), groups })
      },
    )
    .get(
      '/api/channel-groups',
      operation({
        id: 'listChannelGroups',
        summary: 'Groups that were seen, with what becomes of what is written there, the latest first',
        scope: 'admin',
        query: ChannelListQuery,
        returns: '{groups: ChannelGroup[], nextCursor}',
        errors: ['invalid_input'],
      }),
      async (c) => c.json(await channels.people.groups(c.var.caller, c.req.valid('query'))),
    )
    .patch(
      '/api/channel-people/:channel/:id',
      operation({
        id: 'updateChannelPerson',
        summary: 'Decide about a person',
        description: 'disposition null leaves it to the settings; paired false takes a pairing back.',
        scope: 'admin',
        body: UpdatePersonInput,
        returns: 'ChannelPerson',
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => {
        const { channel, id } = c.req.param()
        return c.json(await channels.people.update(c.var.caller, channel, id, c.req.valid('json')))
      },
    )
    .patch(
      '/api/channel-groups/:channel/:id',
      operation({
        id: 'updateChannelGroup',
        summary: 'Decide about a group',
        description: 'null leaves it to the settings of the channel.',
        scope: 'admin',
        body: UpdateGroupInput,
        returns: 'ChannelGroup',
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => {
        const { channel, id } = c.req.param()
        return c.json(await channels.people.updateGroup(c.var.caller, channel, id, c.req.valid('json')))
      },
    )
    .get(
      '/api/pairings',
      operation({
        id: 'listPairings',
        summary: 'Strangers who ask to be let in, newest first',
        description: 'While a channel is switched off, nobody on it waits, and nothing can be decided (409).',
        scope: 'admin',
        query: PairingQuery,
        returns: '{pairings: Pairing[], nextCursor}',
        errors: ['invalid_input'],
      }),
      async (c) => c.json(await channels.pairings.list(c.var.caller, c.req.valid('query'))),
    )
    .post(
      '/api/pairings/:id/approve',
      operation({
        id: 'approvePairing',
        summary: 'Let somebody in, by id or code',
        description: 'A trusted person may also answer what the agent asks because of their messages, let others in, ' +
          'and choose models.',
        scope: 'admin',
        body: ApprovePairingInput,
        returns: 'Pairing',
        errors: ['not_found', 'conflict'],
      }),
      async (c) => {
        const { trusted } = c.req.valid('json')
        return c.json(await channels.pairings.decide(c.var.caller, c.req.param('id'), 'approved', trusted))
      },
    )
    .post(
      '/api/pairings/:id/reject',
      operation({
        id: 'rejectPairing',
        summary: 'Refuse somebody, by id or code',
        scope: 'admin',
        returns: 'Pairing',
        errors: ['not_found', 'conflict'],
      }),
      async (c) => c.json(await channels.pairings.decide(c.var.caller, c.req.param('id'), 'rejected')),
    )
    .get(
      '/api/outbox',
      operation({
        id: 'listOutbox',
        summary: 'What is to be sent, was sent, or could not be, newest first',
        scope: 'admin',
        query: OutboxQuery,
        returns: '{entries: OutboxEntry[], nextCursor}',
        errors: ['invalid_input'],
      }),
      async (c) => c.json(await channels.outbox(c.var.caller, c.req.valid('query'))),
    )
    .post(
      '/api/outbox/:id/send',
      operation({
        id: 'sendOutboxAgain',
        summary: 'Send a dead letter again',
        scope: 'admin',
        returns: 'OutboxEntry',
        errors: ['not_found', 'conflict'],
      }),
      async (c) => c.json(await channels.sendAgain(c.var.caller, c.req.param('id'))),
    )
    .delete(
      '/api/outbox/:id',
      operation({
        id: 'discardOutbox',
        summary: 'Give up on a message; it stays in the list as discarded',
        scope: 'admin',
        returns: 'OutboxEntry',
        errors: ['not_found', 'conflict'],
      }),
      async (c) => c.json(await channels.discard(c.var.caller, c.req.param('id'))),
    )
