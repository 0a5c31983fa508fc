import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Script } from './syntheticEngine.ts'

const END = 'data: [DONE]\n\n'

/** What came of one streamed answer. */
export interface StreamResult {
  /** Server-sent events, the one that says `[DONE]` left out. */
  numEvents: number
  /** From the request to the first bytes of the first event. */
  firstEventMs: number
}

/**
 * A client as cheap as can be, so that what is measured is the server: one HTTP/1.1 connection, one stream after another,
 * bytes looked at only to find events.
 */
export class StreamClient {
  readonly #socket: Socket

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  static async connect(port: number): Promise<StreamClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new StreamClient(socket)
  }

  /**
   * Reads one stream to its end.
   * @param onChunk sees all bytes as they come
   * @throws Error when the answer is not a stream, or ends before `[DONE]`
   */
  stream(script: Script, onChunk?: (chunk: Buffer) => void): Promise<StreamResult> {
    const startMs = performance.now()
    let numEvents = 0
    let firstEventMs: number | undefined
    let tail = ''
    return new Promise((resolve, reject) => {
      const fail = () => finish(new Error(`the stream broke off after: ${tail}`))
      const finish = (error?: Error) => {
        this.#socket.off('data', onData).off('close', fail)
        if (error) reject(error)
        else resolve({ numEvents: numEvents - 1, firstEventMs: firstEventMs ?? Number.NaN })
      }
      const onData = (chunk: Buffer) => {
        if (firstEventMs === undefined && chunk.includes('data: ')) {
          firstEventMs = performance.now() - startMs
        }
        onChunk?.(chunk)
        if (tail.endsWith('\n') && chunk[0] === 0x0a) numEvents++
        for (let at = chunk.indexOf('\n\n'); at >= 0; at = chunk.indexOf('\n\n', at + 2))
          numEvents++
        tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - 64))).slice(-64)
        if (tail.endsWith('0\r\n\r\n') && tail.includes(END)) finish()
      }
      this.#socket.on('data', onData).on('close', fail)
      this.send(script)
    })
  }

  /** Asks for a stream and reads no more of it than the kernel takes by itself. */
  stall(script: Script): void {
    this.#socket.pause()
    this.send(script)
  }

  close(): void {
    this.#socket.destroy()
  }

  private send(script: Script): void {
    const content = JSON.stringify(script)
    const { promptBytes = 0 } = script
    const before = promptBytes > 0 ? [{ role: 'system', content: 'x'.repeat(promptBytes) }] : []
    const body = JSON.stringify({ stream: true, messages: [...before, { role: 'user', content }] })
    this.#socket.write(
      'POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n' +
        `content-length: ${body.length}\r\n\r\n${body}`,
    )
  }
}
