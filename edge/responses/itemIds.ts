const RESPONSE = 'resp_'

export function responseId(random: string): string {
  return RESPONSE + random
}

/** Ids follow from the response and the place in it, so that whoever encodes the same run again writes the same. */
export function outputItemId(prefix: string, response: string, index: number): string {
  return `${prefix}_${response.slice(RESPONSE.length)}_${index}`
}

export function inputItemId(prefix: string, response: string, index: number): string {
  return `${prefix}_${response.slice(RESPONSE.length)}_i${index}`
}

/** The response that an item with this id belongs to; undefined for an id that is not of this server. */
export function responseOfItem(itemId: string): string | undefined {
  const [, random] = /^[a-z]+_([A-Za-z0-9]+)_i?\d+$/.exec(itemId) ?? []
  return random === undefined ? undefined : RESPONSE + random
}
