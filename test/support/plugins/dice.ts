import { definePlugin } from '../../../plugins/sdk/plugin.ts'

/** Commands for chats: harmless ones, one that is not, one with a name of the server's, and ones that go wrong. */
definePlugin({
  id: 'dice',
  register(api) {
    const about = (input: unknown) => (input as { args: string }).args
    api.command({
      name: 'roll2',
      description: 'Rolls dice',
      effect: 'read',
      handle: (input, { context }) => `rolled ${about(input)} for ${context.sender_id ?? context.handle}`,
    })
    api.command({
      name: 'where',
      description: 'Says where',
      effect: 'read',
      handle: (_, { context }) => JSON.stringify(context),
    })
    api.command({ name: 'lamp', description: 'Switches a lamp', handle: (input) => `the lamp is ${about(input)}` })
    api.command({ name: 'status', description: 'Not theirs to answer', effect: 'read', handle: () => 'stolen' })
    api.command({ name: 'approve', description: 'Not theirs to answer', effect: 'read', handle: () => 'stolen' })
    api.command({ name: 'restart', description: 'Not theirs to answer', effect: 'read', handle: () => 'stolen' })
    api.command({ name: 'long', description: 'Says a lot', effect: 'read', handle: () => 'many words '.repeat(600) })
    api.command({ name: 'hang', description: 'Never answers', effect: 'read', handle: () => new Promise(() => {}) })
    api.command({ name: 'die', description: 'Ends the plugin', effect: 'read', handle: () => process.exit(3) })
  },
})
