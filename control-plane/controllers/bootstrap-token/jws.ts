/** Signatures by which who has a token knows that what it reads of a cluster is true (RFC 7515, appendix F: detached content; HS256). */

/** `HEADER..SIGNATURE` over the content, by a token. */
export async function signDetached(
  content: string,
  token: { readonly id: string; readonly secret: string },
): Promise<string> {
  const { CompactSign } = await import('jose'); // Loaded when first needed.
  const compact = await new CompactSign(Buffer.from(content))
    .setProtectedHeader({ alg: 'HS256', kid: token.id })
    .sign(Buffer.from(token.secret));
  const [header, , signature] = compact.split('.');
  return `${header}..${signature}`;
}

/** Whether the signature is that token's over that content. */
export async function isSignedBy(
  detached: string,
  content: string,
  token: { readonly id: string; readonly secret: string },
): Promise<boolean> {
  const parts = detached.split('.');
  if (parts.length !== 3 || parts[1] !== '') return false;
  const { compactVerify, errors } = await import('jose');
  const whole = `${parts[0]}.${Buffer.from(content).toString('base64url')}.${parts[2]}`;
  try {
    const { protectedHeader } = await compactVerify(whole, Buffer.from(token.secret), {
      algorithms: ['HS256'],
    });
    return protectedHeader.kid === token.id;
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof TypeError) return false;
    throw error;
  }
}
