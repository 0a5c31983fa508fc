/** What a chunk of either completion API holds, as far as tests look at it. */
export interface Chunk {
  id: string
  object: string
  model: string
  choices: {
    index: number
    text?: string
    delta?: Record<string, unknown>
    logprobs?: unknown
    finish_reason: string | null
  }[]
  usage?: { total_tokens: number } | null
  prompt_progress?: Record<string, number>
  error?: { message: string }
}

/** Reads a whole SSE body into its data lines, as a client that knows nothing else of the format. */
export function sseData(body: string): string[] {
  return body
    .split('\n')
    .filter(line => line.startsWith('data: '))
    .map(line => line.slice('data: '.length))
}

/** The chunks of a stream that ends as it should. */
export function sseChunks(body: string): Chunk[] {
  const data = sseData(body)
  if (data.pop() !== '[DONE]') throw new Error(`no [DONE] at the end of ${body}`)
  return data.map(line => JSON.parse(line))
}
