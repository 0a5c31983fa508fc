import type { Grammar } from '../../edge/engine.ts'
import { choice, GrammarError, type GrammarRules, text } from './expr.ts'
import { parseGbnf } from './gbnf.ts'
import { lowerJsonObject, lowerJsonSchema } from './json/jsonSchema.ts'
import { parseLark } from './lark.ts'
import { parseRegex } from './regexSyntax.ts'

/** The rules of a grammar in any of the languages. @throws GrammarError */
export function lowerGrammar(grammar: Grammar): GrammarRules {
  switch (grammar.type) {
    case 'json_object':
      return lowerJsonObject()
    case 'json_schema':
      return lowerJsonSchema(grammar.schema)
    case 'regex':
      return { root: 'root', rules: new Map([['root', parseRegex(grammar.pattern, 'whole')]]) }
    case 'choice':
      if (grammar.choices.length === 0) throw new GrammarError('there is nothing to choose from')
      return { root: 'root', rules: new Map([['root', choice(...grammar.choices.map(text))]]) }
    case 'gbnf':
      return parseGbnf(grammar.grammar)
    case 'lark':
      return parseLark(grammar.grammar)
  }
}
