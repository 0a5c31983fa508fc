import { edgeKind } from './automaton.ts'
import type { MatchGraph, MatchState } from './matchState.ts'

/** What a text must go on with: texts, and the control tokens between them. */
export interface ForcedRun {
  parts: (Uint8Array | number)[]
  /** More text may follow the last part than is known: a token may begin in it and reach beyond. */
  isOpen: boolean
}

/** Longer texts are forced in several runs. */
const maxRunBytes = 512

/** Follows a state while there is one way to go on. */
export function forcedRun(graph: MatchGraph, from: MatchState): ForcedRun {
  const parts: (Uint8Array | number)[] = []
  let bytes: number[] = []
  const endPart = () => {
    if (bytes.length > 0) parts.push(Uint8Array.from(bytes))
    bytes = []
  }
  let state = from
  for (let n = 0; n < maxRunBytes; n++) {
    const next = onlyStep(graph, state)
    if (next === 'end' || next === 'open') {
      endPart()
      return { parts, isOpen: next === 'open' }
    }
    if (next.kind === 'byte') bytes.push(next.byte)
    else {
      endPart()
      parts.push(next.id)
    }
    state = next.state
  }
  endPart()
  return { parts, isOpen: true }
}

type OnlyStep =
  | { kind: 'byte'; byte: number; state: MatchState }
  | { kind: 'token'; id: number; state: MatchState }
  | 'end'
  | 'open'

function onlyStep(graph: MatchGraph, from: MatchState): OnlyStep {
  const { edgeStart, kinds, labels } = graph.automaton
  let byte = -1
  for (const state of from.states) {
    for (let e = edgeStart[state] ?? 0; e < (edgeStart[state + 1] ?? 0); e++) {
      if (kinds[e] !== edgeKind.bytes) continue
      const label = labels[e] ?? 0
      const low = label & 0xff
      if (low !== label >> 8 || (byte >= 0 && low !== byte)) return 'open'
      byte = low
    }
  }
  const [control] = from.tokens
  if (byte < 0 && control === undefined) return 'end'
  if (from.accepts || from.tokens.size + (byte < 0 ? 0 : 1) > 1) return 'open'
  if (control !== undefined) return { kind: 'token', id: control[0], state: control[1] }
  const state = graph.step(from, byte)
  return state === null ? 'open' : { kind: 'byte', byte, state }
}
