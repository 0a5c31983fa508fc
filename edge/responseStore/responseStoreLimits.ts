/** What a store of responses keeps at most, over all owners. */
export interface ResponseStoreLimits {
  maxResponses: number
  /** Of the responses as JSON. */
  maxBytes: number
  /** Since the last use. */
  maxAgeMs: number
}

/** As long as OpenAI keeps them. */
export const MAX_RESPONSE_AGE_MS = 30 * 24 * 3_600_000
