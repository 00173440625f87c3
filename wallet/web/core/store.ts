/** What lies in this browser (IndexedDB), all of it sealed: the key under its passphrase, the content, failed attempts. */

const DATABASE = "fieldgrant-wallet";
const STORE = "wallet";

export type Name = "key" | "content" | "tries" | "passkey";

/** What is kept under a name, or undefined. */
export const get = (name: Name): Promise<unknown> => act("readonly", (store) => store.get(name));

/** Keep all of these or, when something goes wrong, none; on disk before it returns. */
export const put = (entries: Partial<Record<Name, unknown>>): Promise<void> =>
  act("readwrite", (store) => {
    for (const [name, value] of Object.entries(entries)) store.put(value, name);
    return null;
  }) as Promise<void>;

/** Forget one thing. */
export const remove = (name: Name): Promise<void> => act("readwrite", (store) => store.delete(name)) as Promise<void>;

/** Forget everything. */
export function erase(): Promise<void> {
  return new Promise((done, failed) => {
    const request = indexedDB.deleteDatabase(DATABASE);
    request.onsuccess = () => done();
    request.onerror = () => failed(request.error);
    request.onblocked = () => failed(new DOMException("the wallet is open in another window", "InvalidStateError"));
  });
}

async function act(mode: IDBTransactionMode, what: (store: IDBObjectStore) => IDBRequest | null): Promise<unknown> {
  const database = await opened();
  try {
    return await new Promise((done, failed) => {
      const transaction = database.transaction(STORE, mode, { durability: "strict" });
      const request = what(transaction.objectStore(STORE));
      transaction.oncomplete = () => done(request?.result);
      transaction.onerror = transaction.onabort = () => failed(transaction.error);
    });
  } finally {
    database.close();
  }
}

function opened(): Promise<IDBDatabase> {
  return new Promise((done, failed) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}
