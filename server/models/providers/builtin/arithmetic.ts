const LEAD = new RegExp(
  "^(?:(?:what(?:'s| is| are)|how much (?:is|are)|calc(?:ulate)?|compute|evaluate|solve|work out|add)(?: the)?\\s+|" +
    '=\\s*)',
  'i',
)

const WORDS: [pattern: RegExp, sign: string][] = [
  [/\bto the power of\b|\braised to\b/g, '^'],
  [/\bmultiplied by\b|\btimes\b/g, '*'],
  [/\bdivided by\b|\bover\b/g, '/'],
  [/\bplus\b|\band\b/g, '+'],
  [/\bminus\b|\bless\b/g, '-'],
  [/\bmod(?:ulo)?\b/g, '%'],
  [/\bsquared\b/g, '^2'],
  [/\bcubed\b/g, '^3'],
  [/\s*\bper ?cent\b/g, '%'],
  [/\bhalf of\b/g, '50% of'],
  [/\bsum of\b/g, ''],
  [/(?<=[\d)]\s*)x(?=\s*[\d(])/g, '*'],
]

const NUMBERS = ('zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen ' +
  'sixteen seventeen eighteen nineteen').split(' ')
const TENS = ['', '', 'twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety']

const CALLS = '(?:sqrt|abs|round|floor|ceil|min|max|log|ln|exp|sin|cos|tan)'
const ONLY = new RegExp(`^(?:(?:${CALLS}|pi|e|of)\\b|[\\d\\s.,+\\-*/%^()×·÷−√π²³]|(?<=\\d)e(?=[\\d+-]))+$`)
const DOES = new RegExp(`[+*/%^×·÷−√²³]|-\\s*[\\d(.a-zπ√]|\\d\\(|\\b${CALLS}\\b`)

/** Dates and telephone numbers, which look like sums. */
const NO_SUM = new RegExp(
  '^(?:\\d{4}-\\d\\d-\\d\\d|\\d\\d?/\\d\\d?/\\d{2,4}|\\d{3}-\\d{4}|\\+\\d[\\d ()-]{5,}|\\d{2,}(?:-\\d{2,}){2,})$',
)

/** The expression in a request such as "what is 12.5 percent of 80", or undefined when it is none. */
export function arithmeticIn(line: string): string | undefined {
  const asked = LEAD.test(line)
  let text = line.replace(LEAD, '').replace(/\s*=\s*$/, '').toLowerCase()
  if (!asked && NO_SUM.test(text)) return undefined
  text = digits(text)
  for (const [pattern, sign] of WORDS) text = text.replace(pattern, sign)
  text = text
    .replace(/\b(?:the )?(?:square root of|root of)\s*/g, 'sqrt ')
    .replace(/\bsqrt\s+(?:of\s+)?(\d+(?:\.\d+)?|\([^()]*\))/g, 'sqrt($1)')
  // "1,234.5" groups thousands; "max(1,200)" lists values.
  if (!/\b(?:min|max|round)\b/.test(text)) text = text.replace(/(?<=\d),(?=\d{3}(?!\d))/g, '')
  text = text.replace(/\s+/g, ' ').trim()
  return ONLY.test(text) && DOES.test(text) && /[\dπ]|\b(?:pi|e)\b/.test(text) ? text : undefined
}

/** Number words up to ninety-nine as digits. */
function digits(text: string): string {
  const units = NUMBERS.slice(1, 10).join('|')
  return text
    .replace(
      new RegExp(`\\b(${TENS.slice(2).join('|')})(?:[ -](${units}))?\\b`, 'g'),
      (_, ten, unit) => String(TENS.indexOf(ten) * 10 + (unit ? NUMBERS.indexOf(unit) : 0)),
    )
    .replace(new RegExp(`\\b(${NUMBERS.join('|')})\\b`, 'g'), (word) => String(NUMBERS.indexOf(word)))
    .replace(/\b(\d+) hundred\b/g, (_, count) => `${count}00`)
}
