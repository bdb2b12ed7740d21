import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { chatVoice } from '../support/mock-voices.ts'

/** What became of each time that one question was asked. */
export type Asked = { answer: string; completed: boolean }

export type AnsweringUpstream = {
  url: string
  /** By the question's text. */
  asked: Map<string, Asked[]>
  close(): Promise<void>
}

const PIECES = 16

export type AnswerStep = 'asked' | 'midway' | 'answered'

/**
 * A chat-completions server that streams a different answer each time it is asked, one piece every `gapMs`, and keeps
 * count of how often each question was answered to its end. `at` hears of each step.
 */
export async function startAnsweringUpstream(
  gapMs: number,
  at: (step: AnswerStep) => void = () => {},
): Promise<AnsweringUpstream> {
  const asked = new Map<string, Asked[]>()

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'GET') {
      response.setHeader('content-type', 'application/json')
      return void response.end(JSON.stringify({ object: 'list', data: [{ id: 'gpt-5', object: 'model' }] }))
    }
    const body = JSON.parse(await text(request)) as { messages: { role: string; content: string }[] }
    const question = body.messages.findLast((message) => message.role === 'user')!.content
    const tries = asked.get(question) ?? []
    const pieces = piecesOf(question, tries.length)
    const entry: Asked = { answer: pieces.join(''), completed: false }
    tries.push(entry)
    asked.set(question, tries)
    at('asked')

    const voice = chatVoice(body)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(voice.start())
    const timer = setInterval(() => {
      const piece = pieces.shift()
      if (pieces.length === PIECES / 2) at('midway')
      if (piece !== undefined) return void response.write(voice.text(piece))
      clearInterval(timer)
      response.end(voice.finish(false, PIECES), () => at('answered'))
    }, gapMs)
    response.on('close', () => {
      clearInterval(timer)
      entry.completed = response.writableFinished
    })
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error) => response.destroy(error as Error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** Text that breaks where bytes, characters, lines or frames are cut in the wrong place. */
const AWKWARD = ['naïve ', '日本 ', '👩‍👩‍👧 ', '\n\n', 'data: x\n', '"\\" ', 'a\r\nb ', '\u2028', 'e\u0301 ', '</script> ']

const piecesOf = (question: string, attempt: number): string[] =>
  Array.from({ length: PIECES }, (_, i) => `${question}/${attempt}/${i} ${AWKWARD[i % AWKWARD.length]}`)
