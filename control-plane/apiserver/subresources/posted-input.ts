import type { JsonObject } from '#api/object.ts';
import type { ResourceRoute } from '#control-plane/apiserver/route.ts';

/** An object that was POSTed to a subresource of another. */
export interface PostedInput {
  readonly route: ResourceRoute;
  readonly namespace: string;
  readonly name: string;
  readonly object: JsonObject;
  readonly dryRun: boolean;
}
