/** The look of everything that one types into or picks from. */
export const CONTROL = 'w-full rounded-md border border-input bg-card px-2.5 text-sm text-foreground shadow-xs ' +
  'placeholder:text-muted-foreground transition-colors hover:border-muted-foreground/60 ' +
  'focus-visible:border-ring focus-visible:outline-2 focus-visible:outline-offset-0 focus-visible:outline-ring/40 ' +
  'aria-invalid:border-destructive aria-invalid:outline-destructive/40 disabled:cursor-not-allowed disabled:opacity-50'

/** What a `Field` hands to the control inside it: spread it there. */
export type FieldProps = { id: string; 'aria-describedby'?: string; 'aria-invalid'?: true; required?: boolean }
