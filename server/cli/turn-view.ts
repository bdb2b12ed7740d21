import type { TurnEvent } from '../../shared/turn-events.ts'
import { clean, cleanLine, createCleaner } from './clean.ts'
import { type Output, shorten } from './output.ts'

const ARGUMENTS_SHOWN = 200
const RESULT_SHOWN = 160

/** Prints turn events as they come. */
export type TurnView = {
  /** `mine` is a turn whose question is already on the screen. */
  show(event: TurnEvent, options: { mine: boolean }): void
  /** A line of our own between the events. */
  note(text: string): void
  /** Begins a new line if the last one is not finished. */
  freshLine(): void
}

/** Text goes to stdout; everything else too, unless `notesAside`, when it goes to stderr. */
export function createTurnView(
  { out, notesAside, reasoning }: { out: Output; notesAside: boolean; reasoning: boolean },
): TurnView {
  const { dim, red, yellow, cyan } = out.style
  let pieces = createCleaner()
  let inLine = false
  let saying: 'text' | 'reasoning' | undefined

  function freshLine(): void {
    if (inLine) out.write('\n')
    inLine = false
    saying = undefined
  }

  function note(text: string): void {
    freshLine()
    if (notesAside) out.note(text)
    else out.print(text)
  }

  function say(kind: 'text' | 'reasoning', delta: string): void {
    if (saying !== kind) {
      freshLine()
      pieces = createCleaner()
    }
    saying = kind
    const text = pieces(delta)
    if (text === '') return
    out.write(kind === 'text' ? text : dim(text))
    inLine = !text.endsWith('\n')
  }

  return {
    freshLine,
    note,
    show(event, { mine }) {
      switch (event.type) {
        case 'turn_started': {
          if (mine) return
          const who = event.input.author?.display ?? event.input.author?.handle ?? 'you'
          return note(`${cyan(`${cleanLine(who)}>`)} ${clean(event.input.text)}`)
        }
        case 'text':
          return say('text', event.delta)
        case 'reasoning':
          return reasoning ? say('reasoning', event.delta) : undefined
        case 'step':
          return freshLine()
        case 'tool_call':
          return note(dim(`→ ${cleanLine(event.name)} ${shorten(JSON.stringify(event.arguments), ARGUMENTS_SHOWN)}`))
        case 'tool_result': {
          const mark = event.ok ? dim('✓') : red('✗')
          const line = event.ok ? `${event.duration_ms} ms` : shorten(event.result, RESULT_SHOWN)
          return note(`${mark} ${dim(`${cleanLine(event.name)} ${line}`)}`)
        }
        case 'approval':
          return note(
            `${yellow('?')} ${cleanLine(event.name)} ${shorten(JSON.stringify(event.arguments), 2000)}\n` +
              `  ${cleanLine(event.reason)} (approval ${cleanLine(event.approval_id)})` +
              (event.patterns?.[0] ? `\n  "session" and "always" cover ${cleanLine(event.patterns[0].text)}` : ''),
          )
        case 'approval_decided':
          return note(dim(`  ${event.decision.replace('_', ' ')}`))
        case 'retry':
          return note(dim(`… trying again in ${Math.ceil(event.after_ms / 1000)} s: ${cleanLine(event.reason)}`))
        case 'compaction':
          return event.phase === 'done' ? note(dim('… older messages were folded into a summary')) : undefined
        case 'notice':
          return note(dim(cleanLine(event.text)))
        case 'turn_finished':
          freshLine()
          for (const { filename, path } of event.attachments ?? []) {
            note(dim(`📎 ${cleanLine(filename)}  ${cleanLine(path)}`))
          }
          if (event.state === 'interrupted') note(dim('(interrupted)'))
          if (event.state === 'failed') {
            note(red(`The turn failed: ${cleanLine(event.error?.message ?? 'no reason given')}`))
          }
          return
        case 'turn_queued':
        case 'tool_progress':
        case 'usage':
          return
      }
    },
  }
}
