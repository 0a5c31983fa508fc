import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ClientHttp2Stream } from 'node:http2'

const CREATED = 'http2.client.stream.created'

/**
 * Calls `patch` with the prototype of all HTTP/2 streams of clients, which Node does not export, as soon as there is one of
 * them. A change of each stream would cost half a kilobyte for as long as it runs.
 */
export function patchClientStreams(patch: (prototype: ClientHttp2Stream) => void): void {
  const onCreated = (message: unknown) => {
    unsubscribe(CREATED, onCreated)
    patch(Object.getPrototypeOf((message as { stream: ClientHttp2Stream }).stream))
  }
  subscribe(CREATED, onCreated)
}
