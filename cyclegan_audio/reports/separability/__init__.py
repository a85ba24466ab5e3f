"""Can two genres be told apart at all, and by what? The paper's protocol, and an honest one."""
