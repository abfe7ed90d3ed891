/** How much of what comes in may be held at one time, over all connections. */

/** What one connection holds. */
export interface Share {
  /**
   * Sets what it holds.
   * @returns false where that is more than there is room for; what it alone holds always has room
   */
  hold(bytes: number): boolean;
}

export function createBudget(bytesMax: number): () => Share {
  let total = 0;
  return () => {
    let held = 0;
    return {
      hold(bytes) {
        const others = total - held;
        if (bytes > held && others > 0 && others + bytes > bytesMax) return false;
        total = others + bytes;
        held = bytes;
        return true;
      },
    };
  };
}
