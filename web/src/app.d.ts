declare global {
  namespace App {
    interface Error {
      message: string
      /** What to do about it. */
      mend?: string
      requestId?: string
    }
  }
}

export {}
