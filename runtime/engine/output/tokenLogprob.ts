import type { TokenLogprob } from '../../../edge/engine.ts'
import type { ScoreResult } from '../../native.ts'

/** Raw bytes of a token. */
export type TokenBytes = (id: number) => Uint8Array

/** Entry `index` of a native result as the contract shows it, with at most `top` alternatives. */
export function tokenLogprob(
  bytesOf: TokenBytes,
  token: number,
  result: ScoreResult,
  index: number,
  top: number,
): TokenLogprob {
  const alternatives: TokenLogprob['top'] = []
  for (let k = 0; k < Math.min(top, result.maxTop); k++) {
    const id = result.topIds[index * result.maxTop + k] ?? -1
    if (id < 0) break
    const logprob = finite(result.topLogprobs[index * result.maxTop + k])
    alternatives.push({ ...describe(bytesOf, id), logprob })
  }
  return { ...describe(bytesOf, token), logprob: finite(result.logprobs[index]), top: alternatives }
}

/** The first token of a prompt has nothing before it to be predicted from. */
export function unscoredToken(bytesOf: TokenBytes, token: number): TokenLogprob {
  return { ...describe(bytesOf, token), logprob: null, top: [] }
}

function describe(bytesOf: TokenBytes, id: number) {
  const bytes = bytesOf(id)
  return { id, token: Buffer.from(bytes).toString('utf8'), bytes: [...bytes] }
}

function finite(logprob: number | undefined): number {
  return logprob !== undefined && Number.isFinite(logprob) ? logprob : -9999
}
