import type { DefaultRule } from '#api/defaults/rule.ts';
import type { FieldError } from '#api/errors/field-error.ts';
import type { Draft } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { ServiceClaims, ServiceGifts, ServiceNeeds } from '#api/service/allocation.ts';
import type { SettledFamilies } from '#api/service/families.ts';
import type { Format } from '#api/validation/format.ts';
import type { IpFamily } from '#base/ip.ts';
import type { KindEffect, PartEffect } from './effect.ts';

/** What a new object gets from the server. */
export interface CreateContext {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly uid: string;
  /** From the URL; undefined for cluster-scoped kinds. */
  readonly namespace?: string | undefined;
  /** Five characters for generateName (see `nameSuffixAlphabet`); without it an absent name stays absent. */
  readonly nameSuffix?: string | undefined;
}

/** Complaints about an object, decoded, defaulted and prepared; `old` is what an update found, whose own faults may stay. */
export type Validate = (object: JsonObject, old?: JsonObject) => readonly FieldError[];
/** Complaints about what an update changes. */
export type ValidateUpdate = (old: JsonObject, object: JsonObject) => readonly FieldError[];

/** What an update is checked for: metadata, what changed in it, the object as a whole, what changed in that. */
export type UpdateCheck = 'metadata' | 'metadata changes' | 'object' | 'changes';

/** What a write to a part of an object may do. */
export interface PartRules {
  /** The old object with what the part may change, as the given one has it. */
  readonly write: (old: JsonObject, object: JsonObject) => JsonObject;
  /** Complaints about what it changes. */
  readonly validate?: ValidateUpdate;
  /** The object is checked as a whole as well, as after an update of all of it. */
  readonly checksAll?: true;
}

/** A field beyond those of all kinds that objects can be selected by: its path, and its text where that is not the value there. */
export type SelectableField = string | readonly [path: string, read: (object: JsonObject) => string];

/** What a kind's objects need from a pool that the server keeps. */
export interface AllocationRules {
  /** The object with what follows from what it says, or complaints, before anything is taken. */
  readonly settle: (
    object: JsonObject,
    old: JsonObject | undefined,
    cluster: readonly IpFamily[],
  ) => SettledFamilies;
  /** What the object names itself, or holds. */
  readonly claims: (object: JsonObject) => ServiceClaims;
  /** What it lacks. */
  readonly needs: (object: JsonObject) => ServiceNeeds;
  /** The object with what it was given. */
  readonly give: (object: JsonObject, given: ServiceGifts) => JsonObject;
}

/** What admission needs to know beyond the object. */
export interface AdmissionOptions {
  /** Five characters for the name of the token volume (`kube-api-access-x7k2p`); without it pods get none. */
  readonly tokenVolumeSuffix?: string | undefined;
  /** From the pod's PriorityClass; 0 and PreemptLowerPriority without. */
  readonly priority?: { readonly value: number; readonly preemptionPolicy: string } | undefined;
  /** Adds the finalizers that the pv- and pvc-protection controllers remove. */
  readonly storageProtection?: boolean | undefined;
}

/** Which fields a write leaves as they were, whatever it says: all of some (`metadata.labels`), or all but some (`spec.containers.*.resources`). */
export type ResetRule = { readonly fields: readonly string[] } | { readonly only: readonly string[] };

/** What becomes of the dependents of a deleted object. */
export interface PropagationRules {
  /** Where the deletion does not say (DefaultGarbageCollectionPolicy of Kubernetes' strategies). `none`: it is not heard either. */
  readonly unsaid: 'Orphan' | 'none';
  /** What is then told to who asks. */
  readonly warning?: string;
}

/** Where an object has the spec of a pod. */
export interface PodSpecPlace {
  readonly path: string;
  readonly isTemplate: boolean;
  /** What is told of a template is told again when this changes; without: with each generation. */
  readonly toldWith?: string;
}

/** Who makes an object. */
export interface Requester {
  readonly name: string;
  readonly uid?: string | undefined;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>> | undefined;
}

/** A write by a node. */
export interface NodeWrite {
  readonly node: string;
  readonly operation: 'create' | 'update' | 'delete' | 'connect';
  /** '' for the object itself. */
  readonly subresource: string;
  /** Of the object; '' for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
  /** As it is to be; of a subresource with objects of its own that one. */
  readonly object?: JsonObject | undefined;
  /** As it is stored: of an update and a delete. */
  readonly old?: JsonObject | undefined;
}

/** Where a write by a node is judged by another object. @throws {E_API} 404 */
export interface NodeLookUp {
  /** In the namespace of what is written. */
  readonly pod: (name: string) => Promise<JsonObject>;
  readonly node: (name: string) => Promise<JsonObject>;
  /** Claims and accounts in that namespace, volumes and drivers; undefined: there is none. */
  readonly find: (
    resource: 'persistentvolumeclaims' | 'serviceaccounts' | 'persistentvolumes' | 'csidrivers',
    name: string,
  ) => Promise<JsonObject | undefined>;
  /** Whether the node was given the right to ask for tokens of the account for that audience. */
  readonly mayRequestAudience: (audience: string) => Promise<boolean>;
}

/**
 * What is particular about a kind: everything that is done otherwise to its objects than to those of most kinds. A kind without a member
 * is treated as all are, and so is a custom kind, whatever its name. All functions are pure.
 */
export interface KindRules {
  /** What becomes of objects once they are stored (docs/kinds.md). Every kind of Kubernetes says it; of custom ones nobody knows. */
  readonly effect?: KindEffect;
  /** Parts of objects that have no effect yet. */
  readonly unactedParts?: readonly PartEffect[];
  /** What a client that creates or updates an object is told, beside what every object with the spec of a pod is told of it. */
  readonly warnings?: (object: JsonObject, old: JsonObject | undefined) => readonly string[];
  /** What who writes the status is told of what it says. */
  readonly statusWarnings?: (object: JsonObject) => readonly string[];
  /** The same of a new object as its client gave it, where `prepareCreate` says it otherwise. */
  readonly earlyWarnings?: (object: JsonObject) => readonly string[];
  /** Every request for the kind is told that it is another's work now. */
  readonly deprecated?: { readonly since: string; readonly until?: string; readonly use?: string };
  /** Where a real cluster's etcd has objects, other than under their plural name (kubernetes pkg/registry, storage prefixes). */
  readonly storageFolder?: string;
  /** Defaults of single fields, on every write, in this order (kube-apiserver 1.36.2; see fixtures/defaults-observed). */
  readonly defaults?: readonly DefaultRule[];
  /** Where the spec of a pod is (`spec.template.spec`). It gets a pod's defaults after `defaults`, in a template not all of them. */
  readonly podSpec?: PodSpecPlace;
  /** Defaults that are no rule of one field, in place, after the others. */
  readonly completeDefaults?: (object: Draft) => void;
  /** Some defaults follow from the name: they are made again once a name was generated. */
  readonly defaultsFollowName?: true;
  /** What the default admission plugins add to a new object, after its defaults. */
  readonly admit?: (object: JsonObject, options: AdmissionOptions) => JsonObject;
  /** A new object with who makes it: the server's word, not the client's. */
  readonly signRequester?: (object: JsonObject, user: Requester) => JsonObject;
  /** Why a node may not write so; undefined: it may (plugin NodeRestriction). */
  readonly refuseNode?: (write: NodeWrite) => string | undefined;
  /** As `refuseNode`, of a create that is judged by another object besides. */
  readonly refuseNodeLate?: (write: NodeWrite, lookUp: NodeLookUp) => Promise<string | undefined>;
  /** The objects are judged as being in the namespace of their name (RequestInfo). */
  readonly namesItsNamespace?: true;
  /** false: objects carry no metadata.generation. */
  readonly tracksGeneration?: false;
  /** A new object keeps the status that it comes with, although status is a subresource. */
  readonly keepsStatusOnCreate?: true;
  /** The status of a new object, before what the schema defaults; empty without. */
  readonly initialStatus?: (object: JsonObject, context: CreateContext) => JsonObject;
  /** What the server sets on a new object, after metadata and status. */
  readonly prepareCreate?: (object: JsonObject, context: CreateContext) => JsonObject;
  /** The new object with what an update by the main endpoint may not change, or does not name, as it was. */
  readonly prepareUpdate?: (old: JsonObject, object: JsonObject) => JsonObject;
  /** The object with its new status, and with what a status may not leave out, as it was. */
  readonly prepareStatusUpdate?: (old: JsonObject, object: JsonObject) => JsonObject;
  /** The object as an update of it or of a part leaves it, with dates that the writer left to the server; `now` in milliseconds. */
  readonly dateUpdate?: (old: JsonObject, object: JsonObject, now: number) => JsonObject;
  /**
   * What an update of the object counts as a new generation beside all that is neither metadata nor status; with `only`: nothing but
   * these, whether or not new objects have one (PrepareForUpdate of Kubernetes' strategies).
   */
  readonly generationCounts?: readonly string[] | { readonly only: readonly string[] };
  /** No subresource changes the labels; those of other kinds take labels along with a status. */
  readonly keepsLabelsOnStatus?: true;
  /**
   * What writes of the object ('') and of its parts, by subresource, leave as it was: nobody owns it for having said it (GetResetFields of
   * Kubernetes' strategies). Without: api/kinds/reset.ts.
   */
  readonly reset?: Readonly<Record<string, ResetRule>>;
  /** Texts of addresses that are not as new ones must be stay only while this member does not change at all (KEP-4858); without: always. */
  readonly addressesStayWith?: string;
  /** What names look like; RFC 1123 subdomains without. */
  readonly nameFormat?: Format;
  /** The same, where it depends on the object. */
  readonly nameFormatOf?: (object: JsonObject) => Format;
  /** A finalizer may be any qualified name, as kube-apiserver has it for kinds that it checks as it does custom resources. */
  readonly takesAnyFinalizer?: true;
  /** Complaints about a new object, and about an updated one whose body is not what it was. */
  readonly validate?: Validate;
  /** Complaints about new objects only. */
  readonly validateCreate?: Validate;
  /** Complaints about what an update by the main endpoint changes. */
  readonly validateUpdate?: ValidateUpdate;
  /**
   * What an update by the main endpoint is checked for, in this order, after its metadata and what changed there, which is asked of all
   * kinds: what the ValidateUpdate of Kubernetes' strategy asks. Without: as most have it (api/validation/validation.ts).
   */
  readonly updateChecks?: readonly UpdateCheck[];
  /** An update may have it take more of what quotas count (a Service that turns to a load balancer, a pod that is given a deadline). */
  readonly growsByUpdate?: true;
  /** Complaints about the object after its status was written. */
  readonly validateStatus?: Validate;
  /** Complaints about what a write of the status changes. */
  readonly validateStatusUpdate?: ValidateUpdate;
  /** Complaints by the labels of its namespace: of a new object, or (`old`) of one that was written, or its status. */
  readonly validateInNamespace?: (
    object: JsonObject,
    labels: Readonly<Record<string, string>>,
    old?: JsonObject,
  ) => readonly FieldError[];
  /** `validate` says all that the schema would of what is missing or none of an enum's: that is not asked beside it. */
  readonly validatesAll?: true;
  /** Parts beside the status that are written by themselves, by subresource. */
  readonly parts?: Readonly<Record<string, PartRules>>;
  /** What objects hold of the cluster's addresses and ports. */
  readonly allocation?: AllocationRules;
  /** A PUT creates what is not there (AllowCreateOnUpdate of Kubernetes' strategies). */
  readonly createdByUpdate?: true;
  /** An update says which revision it was made of (AllowUnconditionalUpdate of Kubernetes' strategies is false); so does one of a custom object. */
  readonly updatesNameRevision?: true;
  /** How long an object stays after it was last written; for ever without. */
  readonly lifeSeconds?: number;
  /** Members, at any depth, that hold what is secret: a text, or values by key; of what is posted to its subresources, too. No record shows them. */
  readonly secretFields?: readonly string[];
  /** false: objects are never stored, each request is answered at once. */
  readonly isStored?: false;
  /** Why the object of this name may not be deleted; undefined: it may. */
  readonly refuseDeletion?: (name: string) => string | undefined;
  /** Time to go, given what the deletion asked for. Kinds without it go at once if nothing holds them, and as they were. */
  readonly graceSeconds?: (object: JsonObject, asked: number | undefined) => number;
  /** The object as its deletion begins, after deletionTimestamp and grace were set. */
  readonly markDeleted?: (marked: JsonObject) => JsonObject;
  /** Whether something beyond grace and metadata.finalizers keeps an object that goes. */
  readonly holdsDeletion?: (object: JsonObject) => boolean;
  /** What becomes of dependents, other than that they go too when nothing is said. */
  readonly propagation?: PropagationRules;
  /** DELETE answers with the object, and not a Status, even when it is gone at once (ReturnDeletedObject of Kubernetes' stores). */
  readonly answersDeleteWithObject?: true;
  /** Fields beyond metadata that objects can be selected by (measured on kube-apiserver 1.36.2). */
  readonly selectableFields?: readonly SelectableField[];
  /** spec.selector is a map of labels, and no LabelSelector. */
  readonly hasPlainSelector?: true;
  /** The cells of an object's row, for the columns of facts/columns.json; `now` in milliseconds. Without: name, age, dates. */
  readonly cells?: (object: JsonObject, now: number) => readonly unknown[];
  /** The order of a list's rows, where it is not that of the names. */
  readonly compareRows?: (a: JsonObject, b: JsonObject) => number;
  /** Conditions of an object's row (`Completed`). */
  readonly rowConditions?: (object: JsonObject) => readonly JsonObject[] | undefined;
}
