/** Where a stream goes. */
export type StreamSink = Pick<ReadableStreamDefaultController<Uint8Array>, 'enqueue' | 'close'>

/** What a stream is made of: an underlying source, which a host may read without a `ReadableStream` around it. */
export interface StreamSource {
  /** Comes first, once. The sink may be used at any time from then on, also for what nobody has asked for. */
  start(sink: StreamSink): void
  /** Resolves when there is more in the sink, or it was closed. Asked again after that only. */
  pull(): Promise<void>
  /** Nobody reads any more; may come after the end, too. */
  cancel(): void
}
