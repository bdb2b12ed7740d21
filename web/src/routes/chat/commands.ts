import type { Command } from '$lib/api/sessions.ts'

/** Commands that this page carries out itself; the rest is the server's. */
export const OWN_COMMANDS: Command[] = [
  { name: 'new', description: 'Begin a new conversation' },
  { name: 'stop', description: 'Stop the answer that is being written' },
  { name: 'retry', description: 'Ask the last question again' },
  { name: 'compact', description: 'Fold older messages into a summary, to make room' },
  { name: 'clear', description: 'Empty this conversation; the agent forgets it' },
  { name: 'model', description: 'Choose the model of this conversation' },
]

/** The menu: the page's own commands, then what the server adds. */
export function allCommands(fromServer: readonly Command[]): Command[] {
  const own = new Set(OWN_COMMANDS.map((command) => command.name))
  return [...OWN_COMMANDS, ...fromServer.filter((command) => !own.has(command.name))]
}
