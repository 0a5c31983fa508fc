import type { Dispatcher } from 'undici'
import type { EngineRequest, EngineResponse } from '../../edge/remote.ts'
import { AnswerBody } from './answerBody.ts'

/**
 * One request over undici, whose answer is read no faster than it is asked for. undici's own `fetch` and `request` read
 * ahead, and what they hold are pieces of read buffers of 64 kB, which live as long as a piece does.
 * @param url its path is used; the dispatcher knows the rest
 */
export function dispatchFetch(
  dispatcher: Dispatcher,
  url: string,
  { method, headers, body, signal }: EngineRequest,
): Promise<EngineResponse> {
  const { pathname, search } = new URL(url)
  return new Promise((resolve, reject) => {
    let exchange: Dispatcher.DispatchController | undefined
    let answer: AnswerBody | undefined
    const abort = () => {
      const error = new Error('The request was aborted.', { cause: signal.reason })
      reject(error)
      exchange?.abort(error)
    }
    const end = () => signal.removeEventListener('abort', abort)
    signal.addEventListener('abort', abort)
    dispatcher.dispatch(
      { path: pathname + search, method, headers, ...(body !== undefined && { body }) },
      {
        onRequestStart(controller) {
          exchange = controller
          if (signal.aborted) abort()
        },
        onResponseStart(controller, status) {
          // Informational; the answer is still to come.
          if (status < 200) return
          answer = new AnswerBody(controller)
          const stream = new ReadableStream<Uint8Array>(answer, { highWaterMark: 0 })
          resolve({ status, body: stream, text: () => new Response(stream).text() })
        },
        onResponseData(_, chunk) {
          answer?.push(chunk)
        },
        onResponseEnd() {
          end()
          answer?.end()
        },
        onResponseError(_, error) {
          end()
          reject(error)
          answer?.fail(error)
        },
      },
    )
  })
}
