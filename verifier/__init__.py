"""Who may see what: grants compiled into allowances, the rule, and the gate."""
