/** The part of `fetch` that is needed, so that hosts can bring one with HTTP/2 or a binding. */
export type EngineFetch = (url: string, init: EngineRequest) => Promise<EngineResponse>

export interface EngineRequest {
  method: 'GET' | 'POST'
  headers: Record<string, string>
  body?: string
  /** Ends the request; where its body has a reader, only as far as that does not end by being cancelled. */
  signal: AbortSignal
}

export interface EngineResponse {
  status: number
  body: { getReader(): ByteReader } | null
  text(): Promise<string>
}

/** The part of a `ReadableStreamDefaultReader` that is needed: a host may have one without the stream. */
export type ByteReader = Pick<ReadableStreamDefaultReader<Uint8Array>, 'read' | 'cancel'>
