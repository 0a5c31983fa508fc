import type { TokenPieces } from '../text/tokenizer/tokenPieces.ts'
import type { Automaton, TokenLimits } from './automaton.ts'
import type { OutputRequest } from './outputGrammar.ts'
import type { TokenTrie } from './tokenTrie.ts'

/** What the main thread asks of the grammar worker. */
export type GrammarRequest =
  | { op: 'vocabulary'; pieces: TokenPieces; vocabSize: number }
  | { op: 'compile'; output: OutputRequest; limits: TokenLimits }

/** The answers, by `op`. */
export interface GrammarResults {
  vocabulary: TokenTrie
  compile: Automaton
}

export interface GrammarMessage {
  id: number
  request: GrammarRequest
}

export type GrammarReply =
  | { id: number; value: GrammarResults[keyof GrammarResults] }
  | { id: number; error: { isGrammarError: boolean; message: string } }
