const day = {
  long: '(0[1-9]|[12]\\d|3[01])',
  short: '(0[1-9]|[12]\\d|30)',
  february: '(0[1-9]|1\\d|2[0-8])',
}
const leapYear = '(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)'
const date = `(\\d{4}-((0[13578]|1[02])-${day.long}|(0[469]|11)-${day.short}|02-${day.february})|${leapYear}-02-29)`
const clock = '([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?'
const zone = '([Zz]|[+-]([01]\\d|2[0-3]):[0-5]\\d)'
const byte = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const ipv4 = `${byte}(\\.${byte}){3}`
const group = '[0-9a-fA-F]{1,4}'
const label = '[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?'
/** 253 characters at most: three labels of 63 and one of 61. */
const host = `${label}(\\.${label}){0,2}(\\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,59}[a-zA-Z0-9])?)?`
const urlPath = "[A-Za-z0-9._~!$&'()*+,;=:@/-]"

/**
 * The formats of JSON Schema that are enforced, as regular expressions of whole strings. Narrower than the standards where
 * those are wide (no quoted mail addresses, no second 60), so that every validator agrees.
 */
export const formatPatterns: Readonly<Record<string, string>> = {
  date,
  time: `${clock}${zone}`,
  'date-time': `${date}T${clock}${zone}`,
  duration:
    'P((\\d{1,4}W)|((\\d{1,4}Y(\\d{1,4}M(\\d{1,4}D)?)?|\\d{1,4}M(\\d{1,4}D)?|\\d{1,4}D)(T(\\d{1,4}H(\\d{1,4}M(\\d{1,4}S)?)?|\\d{1,4}M(\\d{1,4}S)?|\\d{1,4}S))?)|T(\\d{1,4}H(\\d{1,4}M(\\d{1,4}S)?)?|\\d{1,4}M(\\d{1,4}S)?|\\d{1,4}S))',
  email: `[a-zA-Z0-9_+-]{1,30}(\\.[a-zA-Z0-9_+-]{1,30}){0,2}@${label}(\\.${label}){1,3}`,
  hostname: host,
  ipv4,
  ipv6: `((${group}:){7}${group}|(${group}:){1,6}:${group}|::(${group}:){0,5}${group}|(${group}:){1,7}:|::)`,
  uuid: '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}',
  uri: `https?://${host}(:[1-9]\\d{0,3})?(/${urlPath}*)?(\\?${urlPath}*)?(#${urlPath}*)?`,
}
