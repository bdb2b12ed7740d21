import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defineChannel } from '../../../plugins/sdk/channel.ts'
import { PluginError } from '../../../plugins/sdk/errors.ts'

/** Bytes that differ from place to place, so that a mix-up is seen. */
const block = (i: number): Uint8Array => new Uint8Array(createHash('sha512').update(String(i)).digest())

async function* blocks(size: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i * 64 < size; i++) yield block(i)
}

/** Says that it got a file of `size` bytes, in a burst of the person 42, and notes what it is asked to send. */
defineChannel({
  id: 'files',
  async start(api) {
    const { size } = api.config as { size: number }
    const told = async (): Promise<string> => {
      try {
        return await api.file({ name: '../my report.bin', type: 'application/octet-stream', data: blocks(size) })
      } catch (error) {
        if (!(error instanceof PluginError)) throw error
        return `data:text/plain;name=${error.code}.txt,${error.code}`
      }
    }
    const url = await told()
    await api.received({
      message_id: '1',
      chat_id: '42',
      sender: { id: '42' },
      content: { type: 'media', media_type: 'document', url, caption: `at most ${api.maxFileBytes}` },
      routing: { chat_type: 'dm' },
    })
    const sent: unknown[] = []
    return {
      send: () => Promise.resolve('1'),
      async media({ media, bytes }) {
        if (media.source === 'url' || !bytes) throw new PluginError('invalid_request', 'no file')
        const digest = createHash('sha256').update(bytes).digest('hex')
        sent.push({ digest, name: media.filename, same: Buffer.from(media.data, 'base64').equals(bytes) })
        await writeFile(join(api.dataDir!, 'sent.json'), JSON.stringify(sent))
        return '2'
      },
    }
  },
})
