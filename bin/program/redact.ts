/**
 * What no log line may hold, whoever put it there: nothing is logged that is known to be secret, and this is for the rest, an
 * error of somebody else's that quotes what it was given. Each is found in time linear in the line.
 */
const secrets: readonly (readonly [RegExp, string])[] = [
  // A JSON web token: two parts of base64url that begin a JSON object, and a signature.
  [/(?<![\w-])eyJ[\w-]{4,}\.eyJ[\w-]{2,}\.[\w-]*/g, '[token]'],
  // Authorization: Bearer, Basic (RFC 6750, RFC 7617).
  [/\b(Bearer|Basic) +[\w.~+/=-]{8,}/gi, '$1 [redacted]'],
  // https://user:password@host
  [/:\/\/[^\s/@:"]{1,256}:[^\s/@"]{1,256}@/g, '://[redacted]@'],
  // A signed URL's own parameters, those of clouds' object stores among them.
  [/([?&](?:[\w-]*(?:token|signature|credential|password|secret)|sig|key)=)[^&\s"\\]+/gi, '$1[redacted]'],
  [
    /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,32}PRIVATE KEY-----)?/g,
    '[private key]',
  ],
];

export function redact(line: string): string {
  return secrets.reduce((text, [pattern, instead]) => text.replace(pattern, instead), line);
}
