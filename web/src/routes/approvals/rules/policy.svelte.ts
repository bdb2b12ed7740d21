import type { ToolRule, ToolRules } from '$shared/tools.ts'
import { ApiError, type Tagged } from '$lib/api/client.ts'
import { type RuleDraft, tools } from '$lib/api/tools.ts'

/** A rule in the list; `key` stays the same while it is moved and changed. */
export type Row = { key: number; rule: RuleDraft }

/** The ordered rules as they are being edited. What is in force changes only with `save`. */
export class Policy {
  #base = $state.raw<Tagged<ToolRules>>({ data: { rules: [], grants: [] }, etag: null })
  #rows = $state.raw<Row[]>([])
  #elsewhere = $state.raw<Tagged<ToolRules>>()
  #saving = $state(false)
  #failure = $state.raw<unknown>()
  #next = 1
  readonly #api = tools()
  readonly #dirty = $derived(textOf(this.#rows.map(({ rule }) => rule)) !== textOf(this.#base.data.rules.map(draftOf)))

  constructor(rules: Tagged<ToolRules>) {
    this.#adopt(rules)
  }

  get rows(): Row[] {
    return this.#rows
  }

  get drafts(): RuleDraft[] {
    return this.#rows.map(({ rule }) => rule)
  }

  get dirty(): boolean {
    return this.#dirty
  }

  /** The rules as somebody else left them while these were being edited. */
  get elsewhere(): Tagged<ToolRules> | undefined {
    return this.#elsewhere
  }

  get saving(): boolean {
    return this.#saving
  }

  get failure(): unknown {
    return this.#failure
  }

  /** The rule as it is in force, with who made it; undefined for a new one. */
  saved(rule: RuleDraft): ToolRule | undefined {
    return this.#base.data.rules.find(({ id }) => id === rule.id)
  }

  /** Whether it differs from what is in force. */
  changed(rule: RuleDraft): boolean {
    const saved = this.saved(rule)
    return !saved || textOf([draftOf(saved)]) !== textOf([rule])
  }

  /** The list as it would be with this rule in the place of `key`, or in front without one. */
  withRule(key: number | undefined, rule: RuleDraft): RuleDraft[] {
    if (key === undefined) return [rule, ...this.drafts]
    return this.#rows.map((row) => (row.key === key ? rule : row.rule))
  }

  /** Puts a rule in front, for of several the first that matches counts. */
  add(rule: RuleDraft): void {
    this.#rows = [{ key: this.#next++, rule }, ...this.#rows]
  }

  change(key: number, rule: RuleDraft): void {
    this.#rows = this.#rows.map((row) => (row.key === key ? { key, rule } : row))
  }

  /** Returns what brings it back. */
  remove(key: number): () => void {
    const at = this.#rows.findIndex((row) => row.key === key)
    const row = this.#rows[at]!
    this.#rows = this.#rows.filter((one) => one.key !== key)
    return () => (this.#rows = this.#rows.toSpliced(at, 0, row))
  }

  /** Moves one up (-1) or down (1); false at the end of the list. */
  move(key: number, by: -1 | 1): boolean {
    const at = this.#rows.findIndex((row) => row.key === key)
    const to = at + by
    if (to < 0 || to >= this.#rows.length) return false
    this.#rows = this.#rows.toSpliced(at, 1).toSpliced(to, 0, this.#rows[at]!)
    return true
  }

  /** The rules as they are in force now. */
  hear(rules: Tagged<ToolRules>): void {
    if (this.#saving || rules.etag === this.#base.etag) return
    if (this.#dirty) this.#elsewhere = rules
    else this.#adopt(rules)
  }

  /** False when it was refused, or the rules have changed meanwhile. */
  async save(over: Tagged<ToolRules> = this.#base): Promise<boolean> {
    this.#saving = true
    this.#failure = undefined
    try {
      this.#adopt(await this.#api.saveRules(this.drafts, over.etag))
      return true
    } catch (error) {
      if (error instanceof ApiError && error.status === 412) this.#elsewhere = await this.#api.rules()
      else this.#failure = error
      return false
    } finally {
      this.#saving = false
    }
  }

  /** Gives the changes up; returns what brings them back. */
  discard(): () => void {
    const rows = this.#rows
    this.#adopt(this.#elsewhere ?? this.#base)
    return () => (this.#rows = rows)
  }

  #adopt(rules: Tagged<ToolRules>): void {
    this.#base = rules
    this.#elsewhere = undefined
    this.#failure = undefined
    this.#rows = rules.data.rules.map((rule) => ({ key: this.#next++, rule: draftOf(rule) }))
  }
}

const draftOf = ({ id, decision, tool, when, note }: ToolRule): RuleDraft => ({ id, decision, tool, when, note })

const textOf = (rules: RuleDraft[]): string =>
  JSON.stringify(rules.map(({ id, decision, tool, when, note }) => [id ?? '', decision, tool, when || null, note]))
