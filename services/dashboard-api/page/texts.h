#pragma once

/* The rows of text.h. */

/* clang-format off */
#define TEXTS(X) \
    X(CONTINUE, "Continue", "Weiter") \
    X(TRY_AGAIN, "Try again", "Noch einmal versuchen") \
    X(TITLE_OF, "{} – Rookery", "{} – Rookery") \
    /* Signing in. */ \
    X(LOGIN_TITLE, "Sign in", "Anmelden") \
    X(LOGIN_SUBMIT, "Sign in", "Anmelden") \
    X(LOGIN_EMAIL, "Email Address", "E-Mail-Adresse") \
    X(LOGIN_PASSWORD, "Password", "Passwort") \
    X(LOGIN_REMEMBER, "Keep me signed in on this device", "Auf diesem Gerät angemeldet bleiben") \
    X(LOGIN_FAILED, "Invalid Email Address or password.", "E-Mail-Adresse oder Passwort ist falsch.") \
    X(LOGIN_OTHER, "Choose another login method", "Andere Anmeldemethode wählen") \
    X(CHOOSER_TITLE, "Sign in", "Anmelden") \
    X(CHOOSER_PROMPT, "How would you like to sign in?", "Wie möchten Sie sich anmelden?") \
    X(CHOOSER_WITH, "Continue with {}", "Weiter mit {}") \
    X(CHOOSER_EMAIL, "Continue with Email", "Weiter mit E-Mail") \
    /* The second step. */ \
    X(TOTP_TITLE, "Two-step verification", "Bestätigung in zwei Schritten") \
    X(TOTP_PROMPT, "Enter the 6-digit code that your authenticator app shows for {}.", \
      "Geben Sie den 6-stelligen Code ein, den Ihre Authenticator-App für {} anzeigt.") \
    X(TOTP_CODE, "Code", "Code") \
    X(TOTP_SUBMIT, "Verify", "Bestätigen") \
    X(TOTP_WRONG, "That code is not right, or was used already. Wait for the next one and try again.", \
      "Dieser Code stimmt nicht oder wurde schon benutzt. Warten Sie auf den nächsten und versuchen Sie es noch einmal.") \
    X(TOTP_WAIT, "Too many wrong codes. Wait a few minutes and sign in again.", \
      "Zu viele falsche Codes. Warten Sie einige Minuten und melden Sie sich neu an.") \
    X(TOTP_OVER, "Too many wrong codes. Sign in again.", "Zu viele falsche Codes. Melden Sie sich neu an.") \
    X(RECOVERY_TITLE, "Use a recovery code", "Wiederherstellungscode verwenden") \
    X(RECOVERY_PROMPT, "Enter one of the recovery codes that you kept for {}. Each works once.", \
      "Geben Sie einen der Wiederherstellungscodes ein, die Sie für {} aufbewahrt haben. Jeder gilt einmal.") \
    X(RECOVERY_CODE, "Recovery code", "Wiederherstellungscode") \
    X(RECOVERY_WRONG, "That recovery code is not right, or was used already.", \
      "Dieser Wiederherstellungscode stimmt nicht oder wurde schon benutzt.") \
    X(RECOVERY_USE, "Use a recovery code instead", "Stattdessen einen Wiederherstellungscode verwenden") \
    X(RECOVERY_APP, "Use the authenticator app instead", "Stattdessen die Authenticator-App verwenden") \
    X(ENROL_TITLE, "Set up two-step verification", "Bestätigung in zwei Schritten einrichten") \
    X(ENROL_PROMPT, "A second step protects your account. Scan this picture with an authenticator app, then enter the code that the app shows.", \
      "Ein zweiter Schritt schützt Ihr Konto. Scannen Sie dieses Bild mit einer Authenticator-App und geben Sie dann den Code ein, den die App anzeigt.") \
    X(ENROL_PICTURE, "QR code that holds the key for the authenticator app", \
      "QR-Code mit dem Schlüssel für die Authenticator-App") \
    X(ENROL_KEY, "You cannot scan it? Enter this key in the app:", \
      "Scannen geht nicht? Geben Sie diesen Schlüssel in der App ein:") \
    X(CODES_TITLE, "Your recovery codes", "Ihre Wiederherstellungscodes") \
    X(CODES_PROMPT, "If you lose your device, each of these codes signs you in once. They are shown only now: print them or keep them in a safe place.", \
      "Wenn Sie Ihr Gerät verlieren, meldet jeder dieser Codes Sie einmal an. Sie werden nur jetzt angezeigt: Drucken Sie sie aus oder bewahren Sie sie an einem sicheren Ort auf.") \
    X(CODES_FILE, "Download as a text file", "Als Textdatei herunterladen") \
    X(CODES_KEPT, "I have kept the codes", "Ich habe die Codes aufbewahrt") \
    X(PASSKEY_TITLE, "Use your passkey", "Passkey verwenden") \
    X(PASSKEY_PROMPT, "Your device or security key will ask you to confirm that it is you.", \
      "Ihr Gerät oder Sicherheitsschlüssel bittet Sie zu bestätigen, dass Sie es sind.") \
    X(PASSKEY_USE, "Use a passkey", "Passkey verwenden") \
    X(PASSKEY_OFFER_TITLE, "Add a passkey?", "Passkey hinzufügen?") \
    X(PASSKEY_OFFER_PROMPT, "With a passkey, your device or a security key takes the place of the code next time.", \
      "Mit einem Passkey tritt beim nächsten Mal Ihr Gerät oder ein Sicherheitsschlüssel an die Stelle des Codes.") \
    X(PASSKEY_ADD, "Add a passkey", "Passkey hinzufügen") \
    X(PASSKEY_LATER, "Not now", "Nicht jetzt") \
    X(PASSKEY_FAILED, "The passkey did not work. Try again, or use a code.", \
      "Der Passkey hat nicht funktioniert. Versuchen Sie es noch einmal oder verwenden Sie einen Code.") \
    X(PASSKEY_NO_SCRIPT, "Passkeys need JavaScript. You can use a code instead.", \
      "Passkeys brauchen JavaScript. Sie können stattdessen einen Code verwenden.") \
    /* A device without a browser. */ \
    X(DEVICE_TITLE, "Connect a device", "Gerät verbinden") \
    X(DEVICE_PROMPT, "Enter the code that your device shows.", "Geben Sie den Code ein, den Ihr Gerät anzeigt.") \
    X(DEVICE_CODE, "Code", "Code") \
    X(DEVICE_WRONG, "Invalid user code.", "Ungültiger Code.") \
    X(DEVICE_CONFIRM_TITLE, "Is this your device?", "Ist das Ihr Gerät?") \
    X(DEVICE_CONFIRM_PROMPT, "A device asks to connect in your name. Approve only if you started this yourself and the device shows the same code.", \
      "Ein Gerät möchte sich in Ihrem Namen verbinden. Stimmen Sie nur zu, wenn Sie das selbst veranlasst haben und das Gerät denselben Code anzeigt.") \
    X(DEVICE_CLIENT, "Application", "Anwendung") \
    X(DEVICE_ADDRESS, "Asked from", "Angefragt von") \
    X(DEVICE_TIME, "Asked at", "Angefragt um") \
    X(DEVICE_ACCOUNT, "Signed in as", "Angemeldet als") \
    X(DEVICE_APPROVE, "Approve", "Zustimmen") \
    X(DEVICE_DENY, "Deny", "Ablehnen") \
    X(DEVICE_DONE_TITLE, "Device connected", "Gerät verbunden") \
    X(DEVICE_DONE_PROMPT, "You can close this page and return to your device.", \
      "Sie können diese Seite schließen und zu Ihrem Gerät zurückkehren.") \
    X(DEVICE_DENIED_TITLE, "Request denied", "Anfrage abgelehnt") \
    X(DEVICE_DENIED_PROMPT, "The device was not connected. You can close this page.", \
      "Das Gerät wurde nicht verbunden. Sie können diese Seite schließen.") \
    /* Signing out. */ \
    X(LOGOUT_TITLE, "Sign out?", "Abmelden?") \
    X(LOGOUT_PROMPT, "You will be signed out of this browser.", "Sie werden in diesem Browser abgemeldet.") \
    X(LOGOUT_SUBMIT, "Sign out", "Abmelden") \
    X(LOGOUT_DONE_TITLE, "Signed out", "Abgemeldet") \
    X(LOGOUT_DONE_PROMPT, "You have been signed out.", "Sie wurden abgemeldet.") \
    /* Passwords that people choose. */ \
    X(SETUP_TITLE, "Welcome", "Willkommen") \
    X(SETUP_PROMPT, "Create the first account. It will own this installation.", \
      "Legen Sie das erste Konto an. Ihm gehört diese Installation.") \
    X(SETUP_NAME, "Name", "Name") \
    X(SETUP_SUBMIT, "Create account", "Konto anlegen") \
    X(SETUP_DONE_TITLE, "All set", "Fertig") \
    X(SETUP_DONE_PROMPT, "The account {} has been created. You can sign in with it now.", \
      "Das Konto {} wurde angelegt. Sie können sich jetzt damit anmelden.") \
    X(SETUP_OVER, "This installation has been set up already.", "Diese Installation ist bereits eingerichtet.") \
    X(PASSWORD_NEW, "New password", "Neues Passwort") \
    X(PASSWORD_AGAIN, "Repeat the password", "Passwort wiederholen") \
    X(PASSWORD_RULE, "At least 8 characters, with a digit, an uppercase letter and a special character.", \
      "Mindestens 8 Zeichen, mit einer Ziffer, einem Großbuchstaben und einem Sonderzeichen.") \
    X(PASSWORD_MISSING, "Enter a password.", "Geben Sie ein Passwort ein.") \
    X(PASSWORD_SHORT, "The password needs at least 8 characters.", "Das Passwort braucht mindestens 8 Zeichen.") \
    X(PASSWORD_LONG, "The password is too long.", "Das Passwort ist zu lang.") \
    X(PASSWORD_WEAK, "The password needs a digit, an uppercase letter and a special character.", \
      "Das Passwort braucht eine Ziffer, einen Großbuchstaben und ein Sonderzeichen.") \
    X(PASSWORD_DIFFERS, "The two passwords are not the same.", "Die beiden Passwörter sind nicht gleich.") \
    X(EMAIL_WRONG, "Enter a valid email address.", "Geben Sie eine gültige E-Mail-Adresse ein.") \
    X(NAME_MISSING, "Enter a name.", "Geben Sie einen Namen ein.") \
    X(INVITE_TITLE, "You are invited", "Sie sind eingeladen") \
    X(INVITE_PROMPT, "{} has invited you. Choose a password for {}.", \
      "{} hat Sie eingeladen. Wählen Sie ein Passwort für {}.") \
    X(INVITE_SUBMIT, "Join", "Beitreten") \
    X(INVITE_DONE_TITLE, "Welcome", "Willkommen") \
    X(INVITE_DONE_PROMPT, "Your account is ready. You can sign in now.", \
      "Ihr Konto ist bereit. Sie können sich jetzt anmelden.") \
    X(INVITE_OVER, "This invitation is not valid, or no longer. Ask who invited you for a new one.", \
      "Diese Einladung ist nicht oder nicht mehr gültig. Bitten Sie um eine neue.") \
    X(CHANGE_TITLE, "Change your password", "Passwort ändern") \
    X(CHANGE_OLD, "Current password", "Aktuelles Passwort") \
    X(CHANGE_SUBMIT, "Change password", "Passwort ändern") \
    X(CHANGE_WRONG, "The current password is not right.", "Das aktuelle Passwort stimmt nicht.") \
    X(CHANGE_SAME, "The new password must differ from the current one.", \
      "Das neue Passwort muss sich vom aktuellen unterscheiden.") \
    X(CHANGE_SIGN_IN, "Sign in to the dashboard first, then open this page again.", \
      "Melden Sie sich zuerst am Dashboard an und öffnen Sie dann diese Seite noch einmal.") \
    X(CHANGE_DONE_TITLE, "Password changed", "Passwort geändert") \
    X(CHANGE_DONE_PROMPT, "Your other sessions have been signed out.", "Ihre anderen Sitzungen wurden abgemeldet.") \
    X(CHANGE_NOT_LOCAL, "Your password is kept by the provider that you sign in with. Change it there.", \
      "Ihr Passwort liegt bei dem Anbieter, über den Sie sich anmelden. Ändern Sie es dort.") \
    X(GO_ON, "Go to the dashboard", "Zum Dashboard") \
    /* Errors. */ \
    X(ERROR_TITLE, "That did not work", "Das hat nicht geklappt") \
    X(ERROR_REQUEST, "The request could not be understood.", "Die Anfrage war nicht verständlich.") \
    X(ERROR_FORM, "This page was open for too long, or came from elsewhere. Go back, reload it and try again.", \
      "Diese Seite war zu lange offen oder kam von anderswo. Gehen Sie zurück, laden Sie sie neu und versuchen Sie es noch einmal.") \
    X(ERROR_NOT_FOUND, "There is no such page.", "Diese Seite gibt es nicht.") \
    X(ERROR_TOO_MANY, "Too many attempts. Wait a few minutes and try again.", \
      "Zu viele Versuche. Warten Sie einige Minuten und versuchen Sie es noch einmal.") \
    X(ERROR_BUSY, "There is too much to do at the moment. Try again in a few seconds.", \
      "Im Moment ist zu viel zu tun. Versuchen Sie es in ein paar Sekunden noch einmal.") \
    X(ERROR_OURS, "Something went wrong on our side. Try again later.", \
      "Bei uns ist etwas schiefgegangen. Versuchen Sie es später noch einmal.") \
    X(ERROR_CLIENT, "The application that sent you here is not known.", \
      "Die Anwendung, die Sie hierher geschickt hat, ist nicht bekannt.") \
    X(ERROR_REDIRECT, "The address to return to is not registered for this application.", \
      "Die Adresse für die Rückkehr ist für diese Anwendung nicht eingetragen.") \
    X(ERROR_LOGIN_GONE, "This sign-in has expired. Go back to where you came from and start again.", \
      "Diese Anmeldung ist abgelaufen. Gehen Sie dorthin zurück, woher Sie kamen, und beginnen Sie neu.") \
    X(ERROR_UPSTREAM, "The sign-in provider did not let you in, or could not be reached.", \
      "Der Anmeldeanbieter hat Sie nicht angemeldet oder war nicht erreichbar.") \
    X(ERROR_CONNECTOR, "This way to sign in does not exist.", "Diese Anmeldemethode gibt es nicht.")
/* clang-format on */
