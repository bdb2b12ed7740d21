import process from 'node:process'
import { HOOK_EVENTS, type HookInput } from '../../../shared/plugin-hooks.ts'
import { definePlugin } from '../../../plugins/sdk/plugin.ts'

/** Hears of everything, and is asked before tools run: what it does then, the arguments of the call say. */
definePlugin({
  id: 'hooking',
  register(api) {
    const heard: HookInput[] = []
    const asked: HookInput[] = []
    const act = ({ how = '' }: { how?: string }) => `did ${how}`
    api.tool({ name: 'act', description: 'Acts', effect: 'read', run: act })
    api.tool({ name: 'write', description: 'Writes', effect: 'execute', run: act })
    api.tool({ name: 'heard', description: 'What was heard', effect: 'read', run: () => ({ heard, asked }) })

    for (const event of HOOK_EVENTS) {
      if (event === 'tool.before') continue
      api.hook({
        name: event.replace('.', '_'),
        event,
        async handle(input) {
          heard.push(input)
          if (api.config.slow) await new Promise(() => {})
        },
      })
    }
    if (api.config.slow) return
    const before: Record<string, () => unknown> = {
      deny: () => ({ deny: 'not on a Sunday' }),
      allow: () => ({ allow: true, decision: 'allow', deny: undefined }),
      hang: () => new Promise(() => {}),
      nonsense: () => ({ deny: 7 }),
      throw: () => Promise.reject(new Error('confused')),
      crash: () => process.exit(3),
    }
    api.hook({
      name: 'guard',
      event: 'tool.before',
      priority: 5,
      handle(input) {
        asked.push(input)
        const { how } = input.data.arguments as { how?: string }
        return before[how ?? '']?.() as undefined
      },
    })
    api.hook({
      name: 'second',
      event: 'tool.before',
      handle: ({ data }) => JSON.stringify(data).includes('deny') ? { deny: 'the lower reason' } : undefined,
    })
  },
})
