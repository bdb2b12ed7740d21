/** One measured thing: the least that is possible, what we take, and what we aim for. */
export type Row = {
  case: string
  runtime: string
  what: string
  unit: string
  /** Of the program in `limits/` that ran beside it; null where nothing is comparable. */
  limit: number | null
  ours: number
  /** A ratio to the limit, or a number in `unit`, as a person reads it. */
  goal: string
}

/** Prints rows as a table that fits a terminal. */
export function printTable(rows: readonly Row[]): void {
  const cells = rows.map((row) => [
    row.case,
    row.runtime,
    row.what,
    row.limit === null ? '–' : `${short(row.limit)} ${row.unit}`,
    `${short(row.ours)} ${row.unit}`,
    ratio(row),
    row.goal,
  ])
  const lines = [['case', 'runtime', 'what', 'limit', 'ours', 'ratio', 'goal'], ...cells]
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  lines.forEach((line, index) => {
    console.log(line.map((cell, column) => cell.padEnd(widths[column]!)).join('  ').trimEnd())
    if (index === 0) console.log(widths.map((width) => '-'.repeat(width)).join('  '))
  })
}

/** An added time that vanishes in the noise has no ratio. */
const ratio = ({ limit, ours }: Row): string => limit !== null && limit > 0 ? `${(ours / limit).toFixed(2)} ×` : '–'

const short = (value: number): string =>
  Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2)
