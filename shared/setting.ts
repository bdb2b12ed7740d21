import * as v from 'valibot'

/** A setting of text. */
export const text = (title: string, description: string, max: number) =>
  v.pipe(
    v.string('must be text'),
    v.maxLength(max, `must have at most ${max} characters`),
    v.title(title),
    v.description(description),
  )

/** A setting that is a whole number. */
export const whole = (title: string, description: string, min: number, max: number) =>
  v.pipe(
    v.number('must be a number'),
    v.integer('must be a whole number'),
    v.minValue(min, `must be at least ${min}`),
    v.maxValue(max, `must be at most ${max}`),
    v.title(title),
    v.description(description),
  )

/** A setting that is on or off. */
export const flag = (title: string, description: string) =>
  v.pipe(v.boolean('must be true or false'), v.title(title), v.description(description))

/** A number of seconds, fractions allowed. */
export const seconds = (title: string, description: string, min: number, max: number) =>
  v.pipe(
    v.number('must be a number'),
    v.minValue(min, `must be at least ${min}`),
    v.maxValue(max, `must be at most ${max}`),
    v.title(title),
    v.description(description),
  )
