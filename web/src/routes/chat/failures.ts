import { paths } from '$lib/paths.ts'

/** What to do about a failed turn: words, and a page that helps. */
export type Advice = { title: string; mend: string; link?: { label: string; href: string } }

const models = { label: 'Open model settings', href: paths.models() }

const ADVICE: Record<string, Advice> = {
  auth: {
    title: 'The provider refused the key',
    mend: 'Check or replace the key, then ask again. Or pick another model below.',
    link: models,
  },
  rate_limited: {
    title: 'The provider is limiting requests',
    mend: 'Wait a little and ask again, or pick another model below.',
  },
  overloaded: {
    title: 'The provider is overloaded',
    mend: 'This is on their side and mostly passes in a minute. Ask again, or pick another model below.',
  },
  context_overflow: {
    title: 'The conversation no longer fits the model',
    mend: 'Type /compact to fold the older part into a summary, or pick a model with a larger window.',
  },
  network: {
    title: 'The provider could not be reached',
    mend: 'Check the connection of the server and the address of the provider, then ask again.',
    link: models,
  },
  invalid: {
    title: 'The provider did not accept the request',
    mend: 'Its message above says why. Another model may take it.',
    link: models,
  },
  limit: {
    title: 'A limit stopped this turn',
    mend: 'Ask it to go on, ask for less at once, or raise the limit in the configuration.',
  },
  internal: {
    title: 'Something went wrong in the server',
    mend: 'The details are in the logs. Asking again is safe.',
    link: { label: 'Open the logs', href: paths.logs({ level: 'error' }) },
  },
}

/** Advice for a class of failure; classes that this page does not know yet read as internal ones. */
export const adviceFor = (failureClass: string): Advice => ADVICE[failureClass] ?? ADVICE.internal!
