declare module 'hoodiecrow-imap' {
  export type ImapServer = {
    listen(port: number, done: () => void): void
    close(): void
    appendMessage(mailbox: string, flags: string[], date: string | false, raw: string): unknown
  }
  export default function hoodiecrow(options: { plugins: string[]; storage: object }): ImapServer
}
