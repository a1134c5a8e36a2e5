import type { JsonObject } from '#api/meta/object.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import type { JwtIssuer, PrefixedClaim, RequiredClaim } from './configuration.ts';
import { extraBy, groupsBy, ruleProblem, textOf, userSubject, type IssuerPrograms } from './expressions.ts';

/** How an issuer's claims are read: each of a user by a claim, or by an expression of `programs`. */
export type ClaimsReading = Pick<JwtIssuer, 'username' | 'groups' | 'uidClaim' | 'requiredClaims'> & {
  readonly programs?: IssuerPrograms;
};

type Failed = { readonly error: string };

/** Whom the claims of a token of that issuer name, or why nobody, in upstream's words (token/oidc). Pure. */
export function userOfClaims(reading: ClaimsReading, claims: JsonObject): User | string {
  const { programs } = reading;
  const name = nameOf(reading, claims);
  if (typeof name !== 'string') return name.error;
  const groups = memberships(reading, claims);
  if ('error' in groups) return groups.error;
  const uid = uidOf(reading, claims);
  if (typeof uid !== 'string') return uid.error;
  const found = extraBy(programs?.extra ?? [], claims);
  if ('error' in found) return found.error;
  const { extra } = found;
  const problem =
    requirementProblem(reading.requiredClaims, claims) ??
    ruleProblem(programs?.claimRules ?? [], claims, 'claim validation expression');
  if (problem !== undefined) return problem;
  const user: User = {
    name,
    ...(uid === '' ? {} : { uid }),
    groups,
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
  return ruleProblem(programs?.userRules ?? [], userSubject(user), 'user info validation rule') ?? user;
}

function nameOf({ username, programs }: ClaimsReading, claims: JsonObject): string | Failed {
  if (programs?.username !== undefined) return textOf(programs.username, claims, 'username');
  const { claim, prefix } = username;
  const name = claimOf(claims, claim);
  if (typeof name !== 'string')
    return { error: `oidc: parse username claims ${JSON.stringify(claim)}: ${whyNot(name)}` };
  const error = claim === 'email' ? emailProblem(claims) : undefined;
  return error === undefined ? `${prefix}${name}` : { error };
}

function memberships({ groups, programs }: ClaimsReading, claims: JsonObject): readonly string[] | Failed {
  if (programs?.groups !== undefined) return groupsBy(programs.groups, claims);
  return groups === undefined ? [] : groupsOf(claims, groups);
}

/** '' for none. */
function uidOf({ uidClaim, programs }: ClaimsReading, claims: JsonObject): string | Failed {
  if (programs?.uid !== undefined) return textOf(programs.uid, claims, 'uid');
  if (uidClaim === undefined) return '';
  const uid = claimOf(claims, uidClaim);
  if (typeof uid === 'string') return uid;
  return { error: `oidc: parse uid claim ${JSON.stringify(uidClaim)}: ${whyNot(uid)}` };
}

function requirementProblem(required: readonly RequiredClaim[], claims: JsonObject): string | undefined {
  for (const { claim, value } of required) {
    const found = claimOf(claims, claim);
    if (found === undefined) return `oidc: required claim ${claim} not present in ID token`;
    if (typeof found !== 'string') return `oidc: parse claim ${claim}: ${whyNot(found)}`;
    if (found !== value)
      return `oidc: required claim ${claim} value does not match. Got = ${found}, want = ${value}`;
  }
  return undefined;
}

/** What is the token's own, not of every object (`toString`). */
function claimOf(claims: JsonObject, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

function whyNot(value: unknown): string {
  return value === undefined ? 'claim not present' : 'not a string';
}

/** Of an address that the issuer says it did not verify (OpenID Connect Core 1.0, 5.1). */
function emailProblem(claims: JsonObject): string | undefined {
  const verified = claimOf(claims, 'email_verified');
  if (verified === undefined || verified === true) return undefined;
  return verified === false
    ? 'oidc: email not verified'
    : "oidc: parse 'email_verified' claim: not a boolean";
}

/** One group may stand without a list. */
function groupsOf(claims: JsonObject, { claim, prefix }: PrefixedClaim): readonly string[] | Failed {
  const value = claimOf(claims, claim) ?? [];
  const groups: readonly unknown[] = Array.isArray(value) ? value : [value];
  const texts = groups.filter((group): group is string => typeof group === 'string');
  if (texts.length === groups.length) return texts.map((group) => `${prefix}${group}`);
  return {
    error: `oidc: parse groups claim ${JSON.stringify(claim)}: neither a string nor a list of strings`,
  };
}
