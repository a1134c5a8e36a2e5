/** What is to be done to an object, or with it. */
export type Operation = 'create' | 'update' | 'delete' | 'connect';
