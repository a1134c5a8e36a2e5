import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { ScalePaths } from '#api/structural/paths/scale.ts';

/** A column of a Table, as meta.v1.TableColumnDefinition. */
export interface CustomColumn {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

/** Who converts objects between versions (CustomResourceConversion.webhook). */
export interface ConversionWebhook {
  /** `apiextensions.k8s.io/v1` ConversionReview or v1beta1: those that it reads, by preference. */
  readonly reviewVersions: readonly string[];
  /** WebhookClientConfig. */
  readonly client: JsonObject;
}

/** How an object of one version becomes one of another. */
export type Conversion =
  /** Nothing of it but its apiVersion changes. */
  | { readonly kind: 'none' }
  | { readonly kind: 'webhook'; readonly webhook: ConversionWebhook }
  /** Objects are given, and stored, in the versions in which they are. */
  | { readonly kind: 'asStored' };

/**
 * What a kind that a client brought has beyond what all kinds have. A value: it is another one once the definition's spec or its accepted
 * names are others, and who compares it knows whether what was made of it still holds.
 */
export interface CustomForm {
  /** metadata.name of its CustomResourceDefinition. */
  readonly definition: string;
  /** The same for kinds of the same definition as long as it says the same: uid, generation, accepted names. */
  readonly identity: string;
  readonly listKind: string;
  readonly storageVersion: string;
  /** What may be done with its objects; discovery (`Kind.verbs`) tells less of a definition that goes. */
  readonly verbs: readonly string[];
  readonly rules: KindRules;
  /** The status is a part of the object as any other: it has no subresource, a change of it is a new generation, and it is validated. */
  readonly statusIsBody: boolean;
  readonly columns: readonly CustomColumn[];
  readonly scale: ScalePaths | undefined;
  /** What every request for the version is told, where it is deprecated. */
  readonly deprecation: string | undefined;
  readonly conversion: Conversion;
  /** An object as it was stored, of whatever version: pruned and defaulted by that, or by the one that is stored now if there is none. */
  readonly revive: (stored: JsonObject) => JsonObject;
  /** What is left of an object that came to be of this version. */
  readonly receive: (converted: JsonObject) => JsonObject;
  /** The same, of the version in which objects are stored. */
  readonly receiveStored: (converted: JsonObject) => JsonObject;
}
