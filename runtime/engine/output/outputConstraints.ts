import { EngineError, type GenerateJob } from '../../../edge/engine.ts'
import { GrammarError } from '../../grammar/expr.ts'
import { GrammarConstraint } from '../../grammar/grammarConstraint.ts'
import type { CompiledGrammar } from '../../grammar/grammarMatcher.ts'
import { GrammarService } from '../../grammar/grammarService.ts'
import type { OutputRequest } from '../../grammar/outputGrammar.ts'
import { ReasoningBudget, type ReasoningBudgetOptions } from '../../grammar/reasoningBudget.ts'
import type { TokenConstraint } from '../../grammar/tokenConstraint.ts'
import { endsInBlock } from '../../parse/outputParser.ts'
import type { EngineText } from '../engineText.ts'
import { defaultBreakers } from '../slotOptions.ts'
import type { OutputReading } from './outputReading.ts'
import { bannedOpeners, type OutputTokens, outputRequest } from './outputRules.ts'

/** What the choices of a job are held to beside its sampling options. */
export interface HeldTo {
  /** Makes the constraint of a choice. */
  constrain: (() => TokenConstraint) | undefined
  /** Tokens that may not be drawn. */
  banned: number[]
  /** Tokens that DRY does not reach across. */
  breakers: Int32Array
}

export interface OutputLimits {
  vocabSize: number
  /** Tokens that end an output. */
  stopIds: ReadonlySet<number>
  /** Text that a grammar leaves no choice about is not drawn. */
  jumpAhead: boolean
}

/** Turns grammars, tool choices and budgets of jobs into what bounds the drawing of tokens. */
export class OutputConstraints {
  readonly #text: EngineText
  readonly #reading: OutputReading
  readonly #vocabSize: number
  readonly #stopIds: ReadonlySet<number>
  readonly #grammars: GrammarService
  readonly #tokens: OutputTokens

  constructor(
    text: EngineText,
    reading: OutputReading,
    { vocabSize, stopIds, jumpAhead }: OutputLimits,
  ) {
    this.#text = text
    this.#reading = reading
    this.#vocabSize = vocabSize
    this.#stopIds = stopIds
    const encode = (forced: string) => text.encodeNext(forced)
    this.#grammars = new GrammarService(text.pieces, vocabSize, jumpAhead ? encode : undefined)
    this.#tokens = {
      reading,
      isSpecial: id => text.isSpecial(id),
      textOf: id => Buffer.from(text.tokenBytes(id)).toString('utf8'),
    }
  }

  /**
   * @param promptTail the end of the prompt as text: the output may begin inside a block
   * @throws EngineError `invalid_grammar` naming what does not compile
   */
  async of(job: GenerateJob, promptTail: string, signal: AbortSignal): Promise<HeldTo> {
    const request = outputRequest(job, this.#tokens, promptTail)
    const grammar = request && (await this.#compile(request))
    const budget = await this.#reasoningBudget(job, promptTail, grammar !== undefined)
    const hold = grammar && (() => new GrammarConstraint(grammar, this.#stopIds))
    return {
      constrain: budget === undefined ? hold : () => new ReasoningBudget(budget, hold?.()),
      banned: bannedOpeners(job, this.#tokens),
      breakers: await this.#dryBreakers(job, signal),
    }
  }

  /** Makes what all grammars need, on another thread. */
  warmUp(): Promise<void> {
    return this.#grammars.warmUp()
  }

  close(): Promise<void> {
    return this.#grammars.close()
  }

  async #compile(request: OutputRequest): Promise<CompiledGrammar> {
    if (this.#stopIds.size === 0) {
      const message = 'The model has no token that ends a text, which a grammar needs.'
      throw new EngineError({ kind: 'unsupported', message, param: 'grammar' })
    }
    try {
      return await this.#grammars.compile(request)
    } catch (cause) {
      if (!(cause instanceof GrammarError)) throw cause
      const { message } = cause
      const param = request.grammar === undefined ? 'prompt.tools' : 'grammar'
      throw new EngineError({ kind: 'invalid_grammar', message, param }, { cause })
    }
  }

  async #reasoningBudget(
    { prompt, maxReasoningTokens }: GenerateJob,
    promptTail: string,
    isHeld: boolean,
  ): Promise<ReasoningBudgetOptions | undefined> {
    const format = this.#reading.format.reasoning
    if (maxReasoningTokens === undefined || prompt.kind !== 'chat' || !format) return undefined
    // Where the next message is held to something it begins on its own.
    const close = isHeld && format.name === 'harmony' ? harmonyTurn : format.written.close
    const closing = { kind: 'text' as const, text: close, addSpecialTokens: false }
    return {
      format,
      maxTokens: maxReasoningTokens,
      closeIds: [...(await this.#text.promptTokens(closing))],
      startsOpen: endsInBlock(promptTail, format),
      tokenBytes: id => this.#text.tokenBytes(id),
    }
  }

  async #dryBreakers({ sampling: { dry } }: GenerateJob, signal: AbortSignal): Promise<Int32Array> {
    if (dry === undefined) return new Int32Array(0)
    const { sequenceBreakers = defaultBreakers } = dry
    const ids = await this.#text.breakerTokens(sequenceBreakers, signal)
    return ids.filter(id => id < this.#vocabSize)
  }
}

/** Ends a message and begins the next, of a kind that is still open. */
const harmonyTurn = '<|end|><|start|>assistant'
