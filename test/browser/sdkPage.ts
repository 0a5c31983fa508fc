// A page of somebody else's: the official clients, bundled, talking to a server on another origin. What the test may ask
// of it are the global functions; only values that can be cloned come back.
import Anthropic from '@anthropic-ai/sdk'
import OpenAI, { APIError } from 'openai'

type Client = Pick<OpenAI, 'chat'>
const client = (baseURL: string): Client =>
  new OpenAI({ baseURL, apiKey: 'EMPTY', dangerouslyAllowBrowser: true, maxRetries: 0 })
const messages = [{ role: 'user' as const, content: 'hi' }]

async function chat(baseURL: string) {
  const { data, response, request_id } = await client(baseURL)
    .chat.completions.create({ model: 'default', messages, stream: true, max_tokens: 20 })
    .withResponse()
  let numChunks = 0
  let text = ''
  for await (const chunk of data) {
    numChunks++
    text += chunk.choices[0]?.delta.content ?? ''
  }
  return { numChunks, text, requestId: request_id, header: response.headers.get('x-request-id') }
}

async function failure(baseURL: string) {
  try {
    await client(baseURL).chat.completions.create({ model: 'gpt-9', messages })
    return undefined
  } catch (error) {
    if (!(error instanceof APIError)) throw error
    const { status, code, requestID, message } = error
    return { status, code, requestId: requestID, message }
  }
}

/** Reads one chunk of a stream that would not end, then leaves it. */
async function abandon(baseURL: string) {
  const endless = { ignore_eos: true, max_tokens: 4000 }
  const stream = await client(baseURL).chat.completions.create({
    model: 'default',
    messages,
    stream: true,
    ...endless,
  })
  for await (const chunk of stream) {
    stream.controller.abort()
    return chunk.object
  }
  return undefined
}

/** @returns the status of the answer, which the page learns only when the preflight let it through */
async function anthropicStatus(baseURL: string) {
  const anthropic = new Anthropic({
    baseURL,
    apiKey: 'EMPTY',
    dangerouslyAllowBrowser: true,
    maxRetries: 0,
  })
  try {
    const request = { model: 'default', messages, max_tokens: 5 }
    return (await anthropic.messages.create(request).asResponse()).status
  } catch (error) {
    if (error instanceof Anthropic.APIError) return error.status as number | undefined
    throw error
  }
}

/** Begins a stream that would not end, and goes on reading. */
function linger(baseURL: string) {
  const body = { messages: 'hi', stream: true, ignore_eos: true, max_tokens: 4000 }
  fetch(`${baseURL}/chat/completions`, { method: 'POST', body: JSON.stringify(body) }).then(
    response => response.text(),
  )
}

const page = { chat, failure, abandon, anthropicStatus, linger }
export type SdkPage = typeof page
Object.assign(globalThis, page)
