import type { FromPlugin } from '../../shared/plugin-protocol.ts'

const MAX = { code: 100, name: 200, detail: 500, message: 2000 }

/**
 * What a plugin says of itself and of its failures, fit to be shown and logged: without its secrets, which libraries
 * put into the texts of errors, and no longer than anybody reads. `hide` takes the secrets out.
 */
export function presentable(event: FromPlugin, hide: (text: string) => string): FromPlugin {
  const text = (given: string, kind: keyof typeof MAX) => hide(given).slice(0, MAX[kind])
  switch (event.type) {
    case 'command_error':
    case 'error':
    case 'failed':
      return { ...event, code: text(event.code, 'code'), message: text(event.message, 'message') }
    case 'shutdown':
      return { ...event, reason: text(event.reason, 'message') }
    case 'ready':
      return { ...event, gateway: text(event.gateway, 'name'), version: text(event.version, 'code') }
    case 'status':
      return {
        ...event,
        ...(event.identity === undefined ? {} : { identity: text(event.identity, 'name') }),
        ...(event.detail === undefined ? {} : { detail: text(event.detail, 'detail') }),
      }
    default:
      return event
  }
}
