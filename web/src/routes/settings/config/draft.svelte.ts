import { untrack } from 'svelte'
import type { ConfigProblem } from '$shared/config.ts'
import { config, type ConfigFile, type Written } from '$lib/api/config.ts'
import { ApiError } from '$lib/api/client.ts'
import { differences, readYaml, setYaml, valueAt, type Values } from './yaml-edit.ts'

/** Milliseconds of rest after which the server is asked about a text. */
const REST = 300
/** Kept for this tab only: a draft may hold a secret that was just typed. */
const PLACE = 'config-draft'

type Kept = { text: string; base: ConfigFile }

/**
 * `gatehouse.yaml` as it is being edited. Form and text are two views of this one text; it survives reloads of the
 * page, and a change on disk never replaces what was typed.
 */
export class ConfigDraft {
  #base = $state.raw<ConfigFile>({ text: '', etag: null })
  #text = $state('')
  #elsewhere = $state.raw<ConfigFile>()
  #problems = $state.raw<ConfigProblem[]>([])
  #checked = $state('')
  #failure = $state.raw<unknown>()
  #saving = $state(false)
  #restored = $state(false)
  #timer: ReturnType<typeof setTimeout> | undefined
  #asking: AbortController | undefined
  readonly #api = config()
  readonly #readable = $derived(readYaml(this.#text))
  readonly #baseValues = $derived(readYaml(this.#base.text) ?? {})
  #lastReadable: Values = {}

  constructor(file: ConfigFile) {
    this.#base = file
    this.#text = file.text
    const kept = restore()
    if (!kept || kept.text === file.text) return
    this.#base = kept.base
    this.#text = kept.text
    this.#restored = true
    this.hear(file)
    this.#checkLater()
  }

  /** The file that the draft started from. */
  get base(): ConfigFile {
    return this.#base
  }

  get text(): string {
    return this.#text
  }

  set text(text: string) {
    this.#text = text
    this.#failure = undefined
    keep(this.dirty ? { text, base: this.#base } : undefined)
    this.#checkLater()
  }

  /** The settings in the text; while it can't be read, those of when it last could. */
  get values(): Values {
    const values = this.#readable
    if (values) this.#lastReadable = values
    return values ?? this.#lastReadable
  }

  /** Whether the form can change the text. */
  get readable(): boolean {
    return this.#readable !== undefined
  }

  get dirty(): boolean {
    return this.#text !== this.#base.text
  }

  /** What the server says of the text; of an earlier one while it is being asked. */
  get problems(): ConfigProblem[] {
    return this.dirty ? this.#problems : []
  }

  get errors(): ConfigProblem[] {
    return this.problems.filter(({ severity }) => severity === 'error')
  }

  /** Whether the problems are those of the present text. */
  get checked(): boolean {
    return !this.dirty || this.#checked === this.#text
  }

  /** The file as somebody else left it while this draft was being written. */
  get elsewhere(): ConfigFile | undefined {
    return this.#elsewhere
  }

  get failure(): unknown {
    return this.#failure
  }

  get saving(): boolean {
    return this.#saving
  }

  /** Whether the draft was left behind earlier and has come back. */
  get restored(): boolean {
    return this.#restored
  }

  value(path: readonly string[]): unknown {
    return valueAt(this.values, path)
  }

  /** Whether one setting differs from the file. */
  changed(path: readonly string[]): boolean {
    return this.dirty && differences(valueAt(this.#baseValues, path), this.value(path)).length > 0
  }

  /** Undefined removes it, so that the default holds. */
  set(path: readonly string[], value: unknown): void {
    this.text = setYaml(this.#text, path, value)
  }

  /** The file as it is on disk now. */
  hear(file: ConfigFile): void {
    if (this.#saving || file.etag === this.#base.etag) return
    if (!this.dirty || file.text === this.#text) this.#adopt(file)
    else this.#elsewhere = file
  }

  /** Undefined when it was refused, or the file has changed meanwhile. */
  async save(over: ConfigFile = this.#base): Promise<Written | undefined> {
    if (this.#saving) return undefined
    this.#saving = true
    this.#failure = undefined
    try {
      const written = await this.#api.save(this.#text, over.etag)
      this.#adopt(await this.#api.yaml())
      return written
    } catch (error) {
      if (error instanceof ApiError && error.status === 412) this.#elsewhere = await this.#api.yaml()
      else this.#failure = error
      return undefined
    } finally {
      this.#saving = false
    }
  }

  /** Gives the draft up; what was typed is returned, for an undo. */
  discard(file: ConfigFile = this.#elsewhere ?? this.#base): string {
    const typed = this.#text
    this.#adopt(file)
    return typed
  }

  /** Repeats the changed settings on the file as it is now; the text as it was is returned, for an undo. */
  rebase(): string {
    const typed = this.#text
    const file = this.#elsewhere
    const mine = this.#readable
    if (!file || !mine) return typed
    const paths = differences(this.#baseValues, mine)
    const text = paths.reduce((result, path) => setYaml(result, path, valueAt(mine, path)), file.text)
    this.#adopt(file)
    this.text = text
    return typed
  }

  /** The person has seen that the draft came back. */
  acknowledge(): void {
    this.#restored = false
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#asking?.abort()
  }

  #adopt(file: ConfigFile): void {
    this.#base = file
    this.#elsewhere = undefined
    this.#restored = false
    this.text = file.text
  }

  #checkLater(): void {
    clearTimeout(this.#timer)
    this.#asking?.abort()
    if (untrack(() => !this.dirty)) return
    this.#timer = setTimeout(() => void this.#check(), REST)
  }

  async #check(): Promise<void> {
    const text = this.#text
    const asking = this.#asking = new AbortController()
    try {
      const { problems } = await this.#api.validate(text, asking.signal)
      if (asking.signal.aborted) return
      this.#problems = problems
      this.#checked = text
    } catch {
      // Without an answer saving still asks, and then says what is wrong.
    }
  }
}

function restore(): Kept | undefined {
  try {
    return JSON.parse(sessionStorage.getItem(PLACE) ?? 'null') as Kept ?? undefined
  } catch {
    return undefined
  }
}

function keep(kept: Kept | undefined): void {
  try {
    if (kept) sessionStorage.setItem(PLACE, JSON.stringify(kept))
    else sessionStorage.removeItem(PLACE)
  } catch {
    // Storage that is full or closed: the draft lives as long as the page.
  }
}
