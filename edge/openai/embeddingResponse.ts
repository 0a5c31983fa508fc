import type { Embedded } from '../engine.ts'
import { fromBase64 } from '../http/base64.ts'

/** The body that POST /v1/embeddings answers with. */
export function embeddingResponse({ model, embeddings, promptTokens }: Embedded, base64: boolean) {
  return {
    object: 'list',
    data: embeddings.map((embedding, index) => ({
      object: 'embedding',
      index,
      embedding: base64 ? embedding : numbersOf(embedding),
    })),
    model,
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  }
}

function numbersOf(base64: string): number[] {
  const bytes = fromBase64(base64)
  const view = new DataView(bytes.buffer)
  return Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true))
}
